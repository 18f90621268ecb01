/**
 * One WebSocket for the whole page.
 *
 * Several views may watch the same entity: the server hears of it once, and is told to stop when the last of them leaves.
 * A lost connection comes back by itself (back-off with jitter) with everything that is watched; views then fetch what
 * they missed, because the feed keeps nothing.
 */
import type { LiveSample } from './table'

export type ConnectionState = 'connecting' | 'open' | 'waiting'

/** Called with each sample of a watched entity. */
export type Listener = (sample: LiveSample) => void

export interface LiveEvents {
  /** The connection to the server came or went. */
  connection: (state: ConnectionState) => void
  /** The server has, or has not, a feed from a collector. */
  feed: (connected: boolean) => void
  /** The connection is back after it was lost: samples were missed. */
  resumed: () => void
}

/** Limits and delays, in milliseconds. */
export const FIRST_DELAY_MS = 500
export const LONGEST_DELAY_MS = 15_000
const PING_MS = 15_000
/** Without a word for this long, the connection counts as dead. */
const SILENCE_MS = 40_000

/** How long to wait before attempt number `attempt` (from 0): doubling, capped, half of it random. */
export function delay_ms(attempt: number, random: number): number {
  const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 10))
  return full / 2 + (full / 2) * random
}

export class LiveSocket {
  private socket: WebSocket | null = null
  private readonly listeners = new Map<string, Set<Listener>>()
  private attempt = 0
  private opened_before = false
  private heard_at = 0
  private retry: ReturnType<typeof setTimeout> | undefined
  private beat: ReturnType<typeof setInterval> | undefined

  constructor(
    private readonly dial: () => WebSocket,
    private readonly events: LiveEvents,
  ) {}

  /** Connects, and stays connected until {@link stop}. */
  start(): void {
    if (this.socket || this.retry) return
    this.connect()
  }

  /** Disconnects for good. */
  stop(): void {
    clearTimeout(this.retry)
    clearInterval(this.beat)
    this.retry = undefined
    const socket = this.socket
    this.socket = null
    socket?.close()
  }

  /** Tries again at once: the network is back, or somebody looks. */
  hurry(): void {
    if (!this.retry) return
    clearTimeout(this.retry)
    this.retry = undefined
    this.connect()
  }

  /** Hands every sample of `entity` to `listener`, until the returned function is called. */
  watch(entity: string, listener: Listener): () => void {
    let group = this.listeners.get(entity)
    if (!group) {
      group = new Set()
      this.listeners.set(entity, group)
      this.send({ type: 'subscribe', entities: [entity] })
    }
    group.add(listener)
    return () => {
      if (!group.delete(listener) || group.size > 0) return
      this.listeners.delete(entity)
      this.send({ type: 'unsubscribe', entities: [entity] })
    }
  }

  private connect(): void {
    this.events.connection('connecting')
    const socket = this.dial()
    this.socket = socket
    socket.onopen = () => {
      this.opened()
    }
    socket.onmessage = (event) => {
      this.heard_at = Date.now()
      // Only a word shows that the connection is good for anything: some are let in and dropped at once.
      this.attempt = 0
      this.receive(event.data)
    }
    socket.onclose = () => {
      this.lost(socket)
    }
  }

  private opened(): void {
    this.heard_at = Date.now()
    const entities = [...this.listeners.keys()]
    if (entities.length > 0) this.send({ type: 'subscribe', entities })
    this.beat = setInterval(() => {
      if (Date.now() - this.heard_at > SILENCE_MS) this.abandon()
      else this.send({ type: 'ping' })
    }, PING_MS)
    this.events.connection('open')
    if (this.opened_before) this.events.resumed()
    this.opened_before = true
  }

  /** A connection over a vanished network may take minutes to close: it is left behind instead. */
  private abandon(): void {
    const socket = this.socket
    if (!socket) return
    this.lost(socket)
    socket.close()
  }

  private lost(socket: WebSocket): void {
    if (this.socket !== socket) return
    this.socket = null
    clearInterval(this.beat)
    this.events.connection('waiting')
    this.retry = setTimeout(
      () => {
        this.retry = undefined
        this.connect()
      },
      delay_ms(this.attempt, Math.random()),
    )
    this.attempt += 1
  }

  private send(message: object): void {
    // What is not open yet gets every subscription when it opens.
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(message))
  }

  private receive(text: unknown): void {
    const message = parse(text)
    if (message?.type === 'feed') this.events.feed(message.connected)
    if (message?.type === 'sample') {
      const sample = { time: message.time, values: message.values }
      this.listeners.get(message.entity)?.forEach((listener) => {
        listener(sample)
      })
    }
  }
}

type Message =
  | { type: 'sample'; entity: string; time: number; values: Record<string, number> }
  | { type: 'feed'; connected: boolean }
  | { type: 'subscribed' | 'pong' | 'error' }

/** A message of the server; null for what cannot be one (a newer server may say more than this page knows). */
function parse(text: unknown): Message | null {
  if (typeof text !== 'string') return null
  try {
    const message: unknown = JSON.parse(text)
    return typeof message === 'object' && message !== null && 'type' in message ? (message as Message) : null
  } catch {
    return null
  }
}
