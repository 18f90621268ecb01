import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocket as Client, WebSocketServer, type WebSocket as Peer } from 'ws'
import { delay_ms, FIRST_DELAY_MS, LiveSocket, LONGEST_DELAY_MS, type ConnectionState } from './live-socket'

/** A real WebSocket server that keeps what it is told. */
class Server {
  readonly server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  readonly heard: { type: string; entities?: string[]; token?: string }[] = []
  peer: Peer | undefined

  constructor() {
    this.server.on('connection', (peer) => {
      this.peer = peer
      peer.on('message', (data) => {
        this.heard.push(JSON.parse((data as Buffer).toString()) as { type: string })
      })
    })
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  say(message: unknown): void {
    this.peer?.send(typeof message === 'string' ? message : JSON.stringify(message))
  }
}

let server: Server
let socket: LiveSocket
let states: ConnectionState[]
let resumed: number
let feeds: boolean[]

/** Unlike a browser's, this client's errors must be listened to. */
function dial(): WebSocket {
  const client = new Client(`ws://127.0.0.1:${server.port}`)
  client.on('error', ignore)
  return client as unknown as WebSocket
}

const ignore = () => undefined

beforeEach(async () => {
  server = new Server()
  await once(server.server, 'listening')
  states = []
  feeds = []
  resumed = 0
  socket = new LiveSocket(dial, {
    connection: (state) => states.push(state),
    feed: (connected) => feeds.push(connected),
    resumed: () => (resumed += 1),
  })
  socket.start()
})

afterEach(() => {
  socket.stop()
  server.server.clients.forEach((client) => {
    client.terminate()
  })
  server.server.close()
})

const open = () => vi.waitFor(() => {
  expect(states.at(-1)).toBe('open')
})

describe('subscriptions', () => {
  it('tells the server once of what two views watch, and of the end when both have left', async () => {
    await open()
    const first = socket.watch('vm:a', ignore)
    const second = socket.watch('vm:a', ignore)
    socket.watch('vm:b', ignore)
    await Promise.resolve()
    first()
    second()
    second()
    await vi.waitFor(() => {
      expect(server.heard).toEqual([
        { type: 'subscribe', entities: ['vm:a', 'vm:b'] },
        { type: 'unsubscribe', entities: ['vm:a'] },
      ])
    })
  })

  it('asks for the last known values for a view that comes later, and hands them out as such', async () => {
    await open()
    const got: unknown[] = []
    socket.watch('vm:a', ignore)
    await Promise.resolve()
    socket.watch('vm:a', (sample) => got.push(sample))
    await vi.waitFor(() => {
      expect(server.heard).toHaveLength(2)
    })
    server.say({ type: 'snapshot', samples: [{ entity: 'vm:a', time: 5, values: { x: 1 } }], complete: true })
    server.say({ type: 'sample', entity: 'vm:a', time: 6, values: { x: 2 } })
    await vi.waitFor(() => {
      expect(got).toEqual([
        { time: 5, values: { x: 1 }, known: true },
        { time: 6, values: { x: 2 } },
      ])
    })
  })

  it('answers a ping', async () => {
    await open()
    server.say({ type: 'ping' })
    await vi.waitFor(() => {
      expect(server.heard).toEqual([{ type: 'pong' }])
    })
  })

  it('hands samples to those who watch the entity, and passes over what it does not understand', async () => {
    await open()
    const got: number[] = []
    socket.watch('vm:a', (sample) => got.push(sample.values.x ?? 0))
    server.say('{broken')
    server.say({ type: 'from the future' })
    server.say({ type: 'sample', entity: 'vm:b', time: 1, values: { x: 7 } })
    server.say({ type: 'feed', connected: true })
    server.say({ type: 'sample', entity: 'vm:a', time: 1, values: { x: 8 } })
    await vi.waitFor(() => {
      expect(got).toEqual([8])
    })
    expect(feeds).toEqual([true])
  })

  it('subscribes again after the connection was lost', async () => {
    await open()
    socket.watch('vm:a', ignore)
    socket.watch('host:b', ignore)
    server.peer?.terminate()
    await vi.waitFor(() => {
      expect(states.at(-1)).toBe('waiting')
    })
    socket.hurry()
    await vi.waitFor(() => {
      expect(server.heard.at(-1)).toEqual({ type: 'subscribe', entities: ['vm:a', 'host:b'] })
    })
    expect(resumed).toBe(1)
  })

  const hello = (token: string, resume_s: number) => {
    server.say({ type: 'hello', session: 's', resume: token, resume_s, ping_s: 20 })
    server.say({ type: 'feed', connected: true })
    return vi.waitFor(() => {
      expect(feeds.length).toBeGreaterThan(0)
    })
  }

  const lose = async () => {
    server.heard.length = 0
    server.peer?.terminate()
    await vi.waitFor(() => {
      expect(states.at(-1)).toBe('waiting')
    })
  }

  it('goes on where it was, and says what has changed meanwhile', async () => {
    await open()
    const leave = socket.watch('vm:a', ignore)
    socket.watch('vm:b', ignore)
    await hello('secret', 60)
    await lose()
    leave()
    socket.watch('vm:c', ignore)
    socket.hurry()
    await vi.waitFor(() => {
      expect(server.heard).toEqual([{ type: 'resume', token: 'secret' }])
    })
    server.say({ type: 'resumed', ok: true })
    server.say({ type: 'subscribed', entities: ['vm:a', 'vm:b'] })
    await vi.waitFor(() => {
      expect(server.heard.slice(1)).toEqual([
        { type: 'subscribe', entities: ['vm:c'] },
        { type: 'unsubscribe', entities: ['vm:a'] },
      ])
    })
  })

  it('says all again when the server does not know the connection any more', async () => {
    await open()
    socket.watch('vm:a', ignore)
    await hello('secret', 60)
    await lose()
    socket.hurry()
    await vi.waitFor(() => {
      expect(server.heard).toHaveLength(1)
    })
    server.say({ type: 'resumed', ok: false })
    await vi.waitFor(() => {
      expect(server.heard.at(-1)).toEqual({ type: 'subscribe', entities: ['vm:a'] })
    })
  })

  it('does not try when it was away for too long', async () => {
    await open()
    socket.watch('vm:a', ignore)
    await hello('secret', 0)
    await lose()
    socket.hurry()
    await vi.waitFor(() => {
      expect(server.heard).toEqual([{ type: 'subscribe', entities: ['vm:a'] }])
    })
  })

  it('comes back by itself', async () => {
    await open()
    server.peer?.terminate()
    await vi.waitFor(
      () => {
        expect(states).toEqual(['connecting', 'open', 'waiting', 'connecting', 'open'])
      },
      { timeout: 5000 },
    )
  })
})

describe('back-off', () => {
  it('doubles up to its limit and is at least half of it', () => {
    expect(delay_ms(0, 0)).toBe(FIRST_DELAY_MS / 2)
    expect(delay_ms(1, 1)).toBe(FIRST_DELAY_MS * 2)
    expect(delay_ms(50, 1)).toBe(LONGEST_DELAY_MS)
    expect(delay_ms(50, 0)).toBe(LONGEST_DELAY_MS / 2)
  })
})
