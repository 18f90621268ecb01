import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { i18n } from './locales'
import { router } from './router'
import { usePreferences } from './stores/preferences'
import './styles'

const app = createApp(App).use(createPinia()).use(i18n)
// The texts come before the first picture.
await usePreferences().startLanguage()
app.use(router).mount('#app')
