import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createSender, csrfToken, type Keeper } from './sender'

describe('csrfToken', () => {
  it.each([
    ['vmscope_csrf=abc', 'abc'],
    ['theme=dark; vmscope_csrf=a%2Bb%3D; other=1', 'a+b='],
    ['xvmscope_csrf=abc', null],
    ['vmscope_csrf=', null],
    ['', null],
  ])('of %j is %j', (cookies, token) => {
    expect(csrfToken(cookies)).toBe(token)
  })
})

interface Heard {
  method: string
  path: string
  headers: IncomingHttpHeaders
  body: string
}

/** A real server that accepts the session `fresh` only. */
class Site {
  readonly heard: Heard[] = []
  readonly server: Server = createServer((request, response) => {
    let body = ''
    request.on('data', (part: Buffer) => (body += part.toString()))
    request.on('end', () => {
      this.heard.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers, body })
      const code = request.url?.endsWith('/password') ? 40101 : request.headers['x-session'] === 'fresh' ? 0 : 40100
      response.writeHead(code === 0 ? 200 : 401, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify({ code, message: '', data: null }))
    })
  })

  url(path: string): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}${path}`
  }
}

let site: Site
let session: string
let recovered: string[]
let stale: boolean
let renews: boolean

const keeper: Keeper = {
  generation: () => session,
  stale: () => stale,
  recover: (seen) => {
    recovered.push(seen)
    if (renews) session = 'fresh'
    stale = false
    return Promise.resolve(renews)
  },
}

/** As a browser would send the cookie of the session. */
const send = createSender({
  fetch: (request) => {
    request.headers.set('X-Session', session)
    return fetch(request)
  },
  cookies: () => `vmscope_csrf=proof-of-${session}`,
  language: () => 'ja-JP',
  keeper: () => keeper,
})

beforeEach(async () => {
  site = new Site()
  site.server.listen(0, '127.0.0.1')
  await once(site.server, 'listening')
  session = 'old'
  recovered = []
  stale = false
  renews = true
})

afterEach(() => {
  site.server.close()
})

const post = (path: string) => send(new Request(site.url(path), { method: 'POST', body: '{"name":"a"}' }))

describe('a request', () => {
  it('asks for the language of the page', async () => {
    await send(new Request(site.url('/api/v1/users')))
    expect(site.heard[0]?.headers['accept-language']).toBe('ja-JP')
  })

  it('carries the proof only when it changes something', async () => {
    session = 'fresh'
    await send(new Request(site.url('/api/v1/users')))
    await post('/api/v1/users')
    expect(site.heard.map((one) => one.headers['x-csrf-token'])).toEqual([undefined, 'proof-of-fresh'])
  })

  it('is sent again, whole and with the new proof, when the session was over and is renewed', async () => {
    const response = await post('/api/v1/users')
    expect(response.status).toBe(200)
    expect(recovered).toEqual(['old'])
    expect(site.heard.map((one) => [one.headers['x-csrf-token'], one.body])).toEqual([
      ['proof-of-old', '{"name":"a"}'],
      ['proof-of-fresh', '{"name":"a"}'],
    ])
  })

  it('keeps its refusal when nobody logs in again', async () => {
    renews = false
    const response = await post('/api/v1/users')
    expect(response.status).toBe(401)
    expect(((await response.json()) as { code: number }).code).toBe(40100)
    expect(site.heard.length).toBe(1)
  })

  it('does not renew the session because a password was wrong', async () => {
    const response = await post('/api/v1/auth/password')
    expect(response.status).toBe(401)
    expect(recovered).toEqual([])
  })

  it('that makes or ends a session is not held up by one that is over', async () => {
    stale = true
    for (const path of ['auth/login', 'auth/refresh', 'auth/logout', 'setup']) await post(`/api/v1/${path}`)
    expect(recovered).toEqual([])
    expect(site.heard.length).toBe(4)
  })

  it('waits for the renewal of a session that is known to be over', async () => {
    stale = true
    const response = await post('/api/v1/users')
    expect(response.status).toBe(200)
    expect(site.heard.length).toBe(1)
  })
})
