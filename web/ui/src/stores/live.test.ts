import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocket as Client, WebSocketServer, type WebSocket as Peer } from 'ws'

/** A real server with the live socket; nobody is logged in to anything else of it. */
class Site {
  readonly server = createServer((_, response) => {
    response.writeHead(401, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify({ code: 40100, message: '', data: null }))
  })
  private readonly sockets = new WebSocketServer({ server: this.server, path: '/api/v1/live' })
  readonly heard: unknown[] = []
  peer: Peer | undefined

  constructor() {
    this.sockets.on('connection', (peer) => {
      this.peer = peer
      peer.on('message', (data) => this.heard.push(JSON.parse((data as Buffer).toString())))
    })
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  say(message: unknown): void {
    this.peer?.send(JSON.stringify(message))
  }

  close(): void {
    this.sockets.clients.forEach((client) => {
      client.terminate()
    })
    this.sockets.close()
    this.server.close()
  }
}

/** Unlike a browser's, this client's errors must be listened to. */
class Socket extends Client {
  constructor(url: string) {
    super(url)
    this.on('error', () => undefined)
  }
}

let site: Site
const listeners = new Map<string, () => void>()

beforeEach(async () => {
  site = new Site()
  site.server.listen(0, '127.0.0.1')
  await once(site.server, 'listening')
  listeners.clear()
  vi.stubGlobal('location', { protocol: 'http:', host: site.host, origin: `http://${site.host}` })
  vi.stubGlobal('WebSocket', Socket)
  const listen = (name: string, listener: () => void) => listeners.set(name, listener)
  const matchMedia = () => ({ matches: false, addEventListener: () => undefined })
  vi.stubGlobal('window', { addEventListener: listen, matchMedia })
  vi.stubGlobal('document', {
    addEventListener: listen,
    cookie: '',
    visibilityState: 'visible',
    documentElement: { dataset: {}, lang: '' },
  })
  vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => undefined, removeItem: () => undefined })
  vi.stubGlobal('navigator', { languages: ['en'] })
})

afterEach(() => {
  stop()
  site.close()
  vi.unstubAllGlobals()
})

const until = (condition: () => void) => vi.waitFor(condition, { timeout: 5000 })

let stop: () => void = () => undefined

/** The store of a page that was just opened. */
async function connected() {
  vi.resetModules()
  setActivePinia(createPinia())
  const { useLive } = await import('./live')
  const live = useLive()
  stop = () => {
    live.stop()
  }
  live.start()
  await until(() => {
    expect(live.connection).toBe('open')
    expect(site.peer).toBeDefined()
  })
  return live
}

describe('the live connection of a page', () => {
  it('knows whether collectors feed the server, and counts when samples were missed', async () => {
    const live = await connected()
    expect([live.feed, live.resumptions]).toEqual([null, 0])
    site.say({ type: 'feed', connected: true })
    await until(() => {
      expect([live.feed, live.resumptions]).toEqual([true, 0])
    })
    site.say({ type: 'feed', connected: false })
    site.say({ type: 'feed', connected: true })
    await until(() => {
      expect([live.feed, live.resumptions]).toEqual([true, 1])
    })
  })

  it('comes back at once when somebody looks, and asks for what it watches', async () => {
    const live = await connected()
    live.watch('vm:a', () => undefined)
    live.watchGroup('group:g', { members: () => undefined, sample: () => undefined })
    await until(() => {
      expect(site.heard).toEqual([{ type: 'subscribe', entities: ['vm:a', 'group:g'] }])
    })
    site.peer?.terminate()
    await until(() => {
      expect(live.connection).toBe('waiting')
    })
    expect(live.feed).toBeNull()
    listeners.get('visibilitychange')?.()
    await until(() => {
      expect(site.heard).toHaveLength(2)
    })
    expect([live.resumptions, site.heard[1]]).toEqual([1, { type: 'subscribe', entities: ['vm:a', 'group:g'] }])
  })

  it('stays away once it was stopped', async () => {
    const live = await connected()
    live.stop()
    await until(() => {
      expect(site.peer?.readyState).toBe(3)
    })
    live.hurry()
    expect(live.connection).toBe('open')
    expect(live.feed).toBeNull()
  })
})
