/** Data that is fetched now, whenever its question changes, and again and again. */
import { onScopeDispose, ref, shallowRef, watch } from 'vue'
import { ApiError } from '@/api/transport'

/** Waits at most this long between attempts while the server fails. */
const LONGEST_WAIT_MS = 30_000

/**
 * Fetches with `load` at once, when `question` changes, and `every_ms` after each answer; slower while it fails, not at
 * all while the page is hidden. What was loaded stays until something newer has come.
 */
export function usePolled<T>(load: (signal: AbortSignal) => Promise<T>, every_ms: () => number, question?: () => unknown) {
  const data = shallowRef<T | null>(null)
  const error = shallowRef<ApiError | null>(null)
  const loading = ref(true)
  let failures = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let running: AbortController | undefined
  let over = false

  async function reload(): Promise<void> {
    running?.abort()
    clearTimeout(timer)
    const own = new AbortController()
    running = own
    loading.value = true
    try {
      const answer = await load(own.signal)
      if (own.signal.aborted) return
      data.value = answer
      error.value = null
      failures = 0
    } catch (cause) {
      if (own.signal.aborted) return
      // Anything else is a mistake of this page, which must not be hidden as a failed request.
      if (!(cause instanceof ApiError)) throw cause
      error.value = cause
      failures += 1
    } finally {
      if (!own.signal.aborted) settle()
    }
  }

  function settle(): void {
    loading.value = false
    // What is denied stays so until somebody grants it: asking again would only fill the audit.
    if (over || error.value?.denied || document.visibilityState === 'hidden') return
    const wait_ms = failures === 0 ? every_ms() : Math.min(LONGEST_WAIT_MS, 1000 * 2 ** failures)
    timer = setTimeout(() => void reload(), wait_ms)
  }

  const onVisibility = () => {
    if (document.visibilityState === 'visible') void reload()
  }
  document.addEventListener('visibilitychange', onVisibility)
  onScopeDispose(() => {
    over = true
    running?.abort()
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', onVisibility)
  })
  if (question) watch(question, () => void reload())
  void reload()
  return { data, error, loading, reload }
}
