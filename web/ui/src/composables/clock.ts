/** One clock for everything that reads "3 seconds ago" or moves with the time. */
import { onScopeDispose, readonly, ref } from 'vue'
import { serverNow } from '@/api/client'

const now_ms = ref(serverNow())
let users = 0
let timer: ReturnType<typeof setInterval> | undefined

/** The server's time, renewed each second while somebody uses it. */
export function useNow() {
  users += 1
  now_ms.value = serverNow()
  timer ??= setInterval(() => {
    now_ms.value = serverNow()
  }, 1000)
  onScopeDispose(() => {
    users -= 1
    if (users > 0) return
    clearInterval(timer)
    timer = undefined
  })
  return readonly(now_ms)
}
