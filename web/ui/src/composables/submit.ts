/** Sending what somebody typed or chose: one at a time, with the server's refusal kept for the form to show. */
import { computed, ref, shallowRef } from 'vue'
import { ApiError } from '@/api/transport'

/** The field whose problem it is: the last part of `scope.id`. */
const simple = (field: string) => field.split('.').at(-1) ?? field

export function useSubmit<A extends unknown[]>(action: (...parts: A) => Promise<unknown>) {
  const busy = ref(false)
  const refusal = shallowRef<ApiError | null>(null)

  /** True when it was done. */
  async function submit(...parts: A): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    refusal.value = null
    try {
      await action(...parts)
      return true
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause
      refusal.value = cause
      return false
    } finally {
      busy.value = false
    }
  }

  /** By field, all that is wrong with it. */
  const fields = computed(() => {
    const messages: Partial<Record<string, string>> = {}
    for (const one of refusal.value?.fields ?? []) {
      const field = simple(one.field)
      messages[field] = messages[field] ? `${messages[field]} ${one.message}` : one.message
    }
    return messages
  })

  function forget(): void {
    refusal.value = null
  }

  return { submit, busy, refusal, fields, forget }
}
