/** Theme and language: what the viewer chose, kept in this browser; else what the system and the browser say. */
import { defineStore } from 'pinia'
import { computed, ref, watchEffect } from 'vue'
import { setApiLanguage } from '@/api/client'
import { i18n, isLanguage, loadMessages, preferredLanguage, type Language } from '@/locales'

export type Theme = 'system' | 'light' | 'dark'

const THEME_KEY = 'vmscope.theme'
const LANGUAGE_KEY = 'vmscope.language'

/** Storage may be forbidden (private windows): then a choice lasts as long as the page. */
function recall(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    // Nothing to do: see above.
  }
}

function recalledTheme(): Theme {
  const theme = recall(THEME_KEY)
  return theme === 'light' || theme === 'dark' ? theme : 'system'
}

function recalledLanguage(): Language {
  const language = recall(LANGUAGE_KEY)
  return isLanguage(language) ? language : preferredLanguage(navigator.languages)
}

export const usePreferences = defineStore('preferences', () => {
  const theme = ref<Theme>(recalledTheme())
  const language = ref<Language>(recalledLanguage())
  const system = window.matchMedia('(prefers-color-scheme: dark)')
  const system_dark = ref(system.matches)
  system.addEventListener('change', (event) => {
    system_dark.value = event.matches
  })
  /** A screen on a wall is dark whatever the viewer prefers. */
  const forced_dark = ref(false)
  const dark = computed(() => forced_dark.value || (theme.value === 'system' ? system_dark.value : theme.value === 'dark'))

  watchEffect(() => {
    document.documentElement.dataset.theme = dark.value ? 'dark' : 'light'
  })

  function setTheme(choice: Theme): void {
    theme.value = choice
    keep(THEME_KEY, choice)
  }

  function forceDark(forced: boolean): void {
    forced_dark.value = forced
  }

  /** Switches every text of the page, and asks the server for its texts in that language. */
  async function speak(choice: Language): Promise<void> {
    await loadMessages(choice)
    i18n.global.locale.value = choice
    language.value = choice
    document.documentElement.lang = choice
    setApiLanguage(choice)
  }

  /** Loads the first language. */
  function startLanguage(): Promise<void> {
    return speak(language.value)
  }

  function setLanguage(choice: Language): Promise<void> {
    keep(LANGUAGE_KEY, choice)
    return speak(choice)
  }

  /** The language of the account, unless another one was chosen in this browser. */
  async function suggestLanguage(tag: string | null): Promise<void> {
    if (isLanguage(tag) && tag !== language.value && !isLanguage(recall(LANGUAGE_KEY))) await speak(tag)
  }

  return { theme, dark, language, setTheme, forceDark, setLanguage, startLanguage, suggestLanguage }
})
