import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { i18n } from './locales'
import { router } from './router'
import { useLive } from './stores/live'
import { usePreferences } from './stores/preferences'
import './styles'

const app = createApp(App).use(createPinia()).use(i18n)
const preferences = usePreferences()
// The texts come before the first picture; the metric catalogue, which the server may not have yet, does not hold it up.
await preferences.startLanguage()
useLive().start()
app.use(router).mount('#app')
