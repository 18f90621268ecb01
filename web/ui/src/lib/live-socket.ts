/**
 * One WebSocket for the whole page.
 *
 * Several views may watch the same entity or group: the server hears of it once, and is told to stop when the last of them leaves.
 * What is watched begins with its last known values. A lost connection comes back by itself (back-off with jitter); within a minute
 * the server still knows what it was subscribed to, else it is told again. Views then fetch the history that they missed, because
 * the feed keeps nothing.
 */
import { parse, type ClientMessage, type ServerMessage } from './live-message'
import { Watched, type GroupListener, type Listener } from './live-watched'

export type ConnectionState = 'connecting' | 'open' | 'waiting'

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
  private readonly watched = new Watched()
  /** What the server has yet to hear of. */
  private readonly fresh = new Set<string>()
  private attempt = 0
  private opened_before = false
  private heard_at = 0
  private retry: ReturnType<typeof setTimeout> | undefined
  private beat: ReturnType<typeof setInterval> | undefined
  /** What to show when the connection was lost, as long as the server remembers it. */
  private token: { text: string; kept_ms: number } | null = null
  private lost_at = 0
  /** The server has been asked to go on where the last connection was, and has not answered. */
  private resuming = false

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
    this.token = null
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

  /** Hands every sample of `entity` to `listener`, beginning with its last known values, until the returned function is called. */
  watch(entity: string, listener: Listener): () => void {
    return this.follow(entity, this.watched.add(entity, listener))
  }

  /** The same for whatever is in the group `group` (`group:<uuid>`). */
  watchGroup(group: string, listener: GroupListener): () => void {
    return this.follow(group, this.watched.addGroup(group, listener))
  }

  /** Also when another view watches the same: this one wants to know the last values, too. */
  private follow(name: string, leave: () => boolean): () => void {
    this.subscribe(name)
    return () => {
      if (leave()) this.unsubscribe(name)
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
      const message = parse(event.data)
      if (message) this.receive(message)
    }
    socket.onclose = () => {
      this.lost(socket)
    }
  }

  private opened(): void {
    this.heard_at = Date.now()
    const token = this.token
    this.token = null
    this.resuming = token !== null && Date.now() - this.lost_at < token.kept_ms
    if (token && this.resuming) this.say({ type: 'resume', token: token.text })
    else this.subscribeAll()
    this.beat = setInterval(() => {
      if (Date.now() - this.heard_at > SILENCE_MS) this.abandon()
      else this.say({ type: 'ping' })
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
    this.lost_at = Date.now()
    this.resuming = false
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

  private subscribeAll(): void {
    const entities = this.watched.names()
    if (entities.length > 0) this.say({ type: 'subscribe', entities })
  }

  /** A page's views begin to watch one after the other: the server hears of all of them at once. */
  private subscribe(entity: string): void {
    if (this.fresh.size === 0) queueMicrotask(this.flush)
    this.fresh.add(entity)
  }

  private readonly flush = (): void => {
    const entities = [...this.fresh]
    this.fresh.clear()
    // While it is not clear where the connection goes on, this is said with the rest, then.
    if (entities.length > 0 && !this.resuming) this.say({ type: 'subscribe', entities })
  }

  private unsubscribe(entity: string): void {
    this.fresh.delete(entity)
    this.say({ type: 'unsubscribe', entities: [entity] })
  }

  private say(message: ClientMessage): void {
    // What is not open yet gets every subscription when it opens.
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(message))
  }

  private receive(message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        this.token = { text: message.resume, kept_ms: message.resume_s * 1000 }
        break
      case 'resumed':
        this.resuming = message.ok
        if (!message.ok) this.subscribeAll()
        break
      case 'subscribed':
        this.settle(message.entities)
        break
      case 'feed':
        this.events.feed(message.connected)
        break
      case 'group':
        this.watched.regroup(message.group, message.entities, message.more)
        break
      case 'snapshot':
        for (const sample of message.samples) this.watched.hand(sample, true)
        break
      case 'sample':
        this.watched.hand(message, false)
        break
      case 'ping':
        this.say({ type: 'pong' })
        break
    }
  }

  /** After a resumption: what views have begun or ceased to watch meanwhile is said now. */
  private settle(subscribed: string[]): void {
    if (!this.resuming) return
    this.resuming = false
    const wanted = new Set(this.watched.names())
    const missing = [...wanted].filter((entity) => !subscribed.includes(entity))
    const left = subscribed.filter((entity) => !wanted.has(entity))
    if (missing.length > 0) this.say({ type: 'subscribe', entities: missing })
    if (left.length > 0) this.say({ type: 'unsubscribe', entities: left })
  }
}
