import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { i18n } from './locales'
import { router } from './router'
import { usePreferences } from './stores/preferences'
import './styles'

/** Not again and again, when what is missing stays missing. */
const RELOAD_PAUSE_MS = 10_000

// After an update of the server the parts that this page still has to load are gone: the new page has its own.
window.addEventListener('vite:preloadError', () => {
  const last_ms = Number(sessionStorage.getItem('vmscope.reloaded') ?? 0)
  if (Date.now() - last_ms < RELOAD_PAUSE_MS) return
  sessionStorage.setItem('vmscope.reloaded', String(Date.now()))
  location.reload()
})

const app = createApp(App).use(createPinia()).use(i18n)
// The texts come before the first picture.
await usePreferences().startLanguage()
app.use(router).mount('#app')
