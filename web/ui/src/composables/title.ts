import { watchEffect } from 'vue'

/** Names the page in the browser's tab and history. */
export function useTitle(title: () => string): void {
  watchEffect(() => {
    const text = title()
    document.title = text ? `${text} · vmscope` : 'vmscope'
  })
}
