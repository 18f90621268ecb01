/** Asking before what can't be undone, and saying shortly what was done. */
import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'

export interface Question {
  title: string
  /** What will happen, and to what by name. */
  text: string
  /** The word on the button that does it. */
  action: string
  /** Does it; a refusal is shown in the dialog. */
  act: () => Promise<unknown>
}

/** How long a notice stays. */
const NOTICE_MS = 4000

export const useConfirm = defineStore('confirm', () => {
  const question = shallowRef<Question | null>(null)
  const notice = ref('')
  let timer: ReturnType<typeof setTimeout> | undefined

  function ask(about: Question): void {
    question.value = about
  }

  function close(): void {
    question.value = null
  }

  function say(text: string): void {
    clearTimeout(timer)
    notice.value = text
    timer = setTimeout(() => {
      notice.value = ''
    }, NOTICE_MS)
  }

  return { question, notice, ask, close, say }
})
