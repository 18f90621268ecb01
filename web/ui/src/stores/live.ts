/** The shared live connection and its state. */
import { defineStore } from 'pinia'
import { ref } from 'vue'
import { LiveSocket, type ConnectionState } from '@/lib/live-socket'
import type { GroupListener, Listener } from '@/lib/live-watched'
import { useSession } from './session'

function address(): string {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:'
  return `${scheme}//${location.host}/api/v1/live`
}

export const useLive = defineStore('live', () => {
  const connection = ref<ConnectionState>('connecting')
  /** Whether a collector feeds the server; null until the server said so. */
  const feed = ref<boolean | null>(null)
  /** Grows by one whenever samples may have been missed. */
  const resumptions = ref(0)

  const socket = new LiveSocket(() => new WebSocket(address()), {
    connection: (state) => {
      connection.value = state
      if (state !== 'waiting') return
      feed.value = null
      // A browser does not tell why a connection failed: perhaps the session was over.
      void useSession().probe()
    },
    feed: (connected) => {
      if (feed.value === false && connected) resumptions.value += 1
      feed.value = connected
    },
    resumed: () => {
      resumptions.value += 1
    },
  })

  let listening = false
  function start(): void {
    socket.start()
    if (listening) return
    listening = true
    window.addEventListener('online', () => {
      socket.hurry()
    })
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') socket.hurry()
    })
  }

  /** Disconnects, until it is started again. */
  function stop(): void {
    socket.stop()
    feed.value = null
  }

  /** Tries at once to connect again. */
  function hurry(): void {
    socket.hurry()
  }

  function watch(entity: string, listener: Listener): () => void {
    return socket.watch(entity, listener)
  }

  /** Watches whatever is in a group (`group:<uuid>`). */
  function watchGroup(group: string, listener: GroupListener): () => void {
    return socket.watchGroup(group, listener)
  }

  return { connection, feed, resumptions, start, stop, hurry, watch, watchGroup }
})
