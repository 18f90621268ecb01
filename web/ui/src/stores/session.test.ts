import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

/** A real server with sessions in cookies, as far as the store needs one. */
class Site {
  access = new Map<string, string>()
  refresh = new Map<string, string>()
  permissions = ['vm']
  setup_needed = false
  readonly heard: string[] = []
  private made = 0
  readonly server: Server = createServer((request, response) => {
    let body = ''
    request.on('data', (part: Buffer) => (body += part.toString()))
    request.on('end', () => {
      this.answer(request, response, body)
    })
  })

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** Every session ends. */
  end(): void {
    this.access.clear()
    this.refresh.clear()
  }

  private me(name: string) {
    const permissions = this.permissions.map((permission) => ({ permission, scope: { kind: 'all', id: null, name: null } }))
    return { id: name, name, email: null, display_name: '', language: 'en', two_factor: false, must_change_password: false, permissions, session_id: '1' }
  }

  private open(name: string): string[] {
    this.made += 1
    this.access.set(`a${this.made}`, name)
    this.refresh.set(`r${this.made}`, name)
    return [`vmscope_access=a${this.made}`, `vmscope_refresh=r${this.made}`, `vmscope_csrf=c${this.made}`]
  }

  private answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const path = request.url?.replace('/api/v1', '') ?? ''
    this.heard.push(path)
    const cookies = new Map((request.headers.cookie ?? '').split('; ').map((one) => one.split('=') as [string, string]))
    const say = (status: number, code: number, data: unknown, set: string[] = []) => {
      response.writeHead(status, { 'Content-Type': 'application/json', 'Set-Cookie': set })
      response.end(JSON.stringify({ code, message: String(code), data }))
    }
    if (path === '/setup') return say(200, 0, { needed: this.setup_needed })
    if (path === '/auth/login') {
      const { login, password } = JSON.parse(body) as { login: string; password: string }
      if (password !== 'right') return say(401, 40101, null)
      return say(200, 0, { user: this.me(login), expires_in_s: 900 }, this.open(login))
    }
    if (path === '/auth/refresh') {
      const token = cookies.get('vmscope_refresh') ?? ''
      const name = this.refresh.get(token)
      this.refresh.delete(token)
      return name ? say(200, 0, { expires_in_s: 900 }, this.open(name)) : say(401, 40103, null)
    }
    const name = this.access.get(cookies.get('vmscope_access') ?? '')
    if (!name) return say(401, 40100, null)
    if (path === '/auth/logout') {
      this.end()
      return say(200, 0, null)
    }
    return path === '/auth/me' ? say(200, 0, this.me(name)) : say(403, 40301, null)
  }
}

/** What a browser has around the page. */
function surround(site: Site) {
  const cookies = new Map<string, string>()
  const storage = new Map<string, string>()
  const assign = vi.fn<(to: string) => void>()
  const real = globalThis.fetch
  vi.stubGlobal('location', { origin: site.origin, assign })
  vi.stubGlobal('document', {
    get cookie() {
      return [...cookies].filter(([name]) => name === 'vmscope_csrf').map(([name, value]) => `${name}=${value}`).join('; ')
    },
    documentElement: { dataset: {}, lang: '' },
  })
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => storage.get(key) ?? null,
    setItem: (key: string, value: string) => storage.set(key, value),
    removeItem: (key: string) => storage.delete(key),
  })
  vi.stubGlobal('window', {
    addEventListener: () => undefined,
    matchMedia: () => ({ matches: false, addEventListener: () => undefined }),
  })
  vi.stubGlobal('navigator', { languages: ['en'] })
  vi.stubGlobal('fetch', async (request: Request) => {
    request.headers.set('Cookie', [...cookies].map((one) => one.join('=')).join('; '))
    const response = await real(request)
    for (const one of response.headers.getSetCookie()) cookies.set(...(one.split('=') as [string, string]))
    return response
  })
  return { cookies, assign }
}

let site: Site
let browser: ReturnType<typeof surround>

/** The store of a page that was just opened. */
async function page() {
  vi.resetModules()
  setActivePinia(createPinia())
  const { useSession } = await import('./session')
  const { getMe } = await import('@/api/access')
  return { session: useSession(), getMe }
}

beforeEach(async () => {
  site = new Site()
  site.server.listen(0, '127.0.0.1')
  await once(site.server, 'listening')
  browser = surround(site)
})

afterEach(() => {
  vi.unstubAllGlobals()
  site.server.close()
})

const ada = { login: 'ada', password: 'right' }

describe('a page that opens', () => {
  it('asks for no session where there can be none, but whether the set-up is due', async () => {
    site.setup_needed = true
    const { session } = await page()
    await session.start()
    expect([session.user, session.setup_needed]).toEqual([null, true])
    expect(site.heard).toEqual(['/setup'])
  })

  it('finds its session again, renewed if need be', async () => {
    const first = await page()
    await first.session.login(ada)
    site.access.clear()
    const { session } = await page()
    await session.start()
    expect(session.user?.name).toBe('ada')
    expect(site.heard).toEqual(['/auth/login', '/auth/me', '/auth/refresh', '/auth/me'])
  })

  it('leads to the login when its session is over', async () => {
    const first = await page()
    await first.session.login(ada)
    site.end()
    const { session } = await page()
    await session.start()
    expect([session.user, session.asking]).toEqual([null, false])
  })
})

describe('a login', () => {
  it('tells what one may do', async () => {
    const { session } = await page()
    await session.login(ada)
    expect([session.may('vm.read'), session.may('user.read'), session.mayEverywhere('vm')]).toEqual([true, false, true])
  })

  it('fails with the refusal of the server', async () => {
    const { session } = await page()
    await expect(session.login({ login: 'ada', password: 'wrong' })).rejects.toMatchObject({ code: 40101 })
    expect(session.user).toBeNull()
  })
})

describe('a session that has ended', () => {
  it('is asked for once, and what waited goes on after the login', async () => {
    const { session, getMe } = await page()
    await session.login(ada)
    site.end()
    const waiting = Promise.all([getMe(), getMe()])
    await vi.waitFor(() => {
      expect(session.asking).toBe(true)
    })
    await session.login(ada)
    expect((await waiting).map((me) => me.name)).toEqual(['ada', 'ada'])
    expect(session.asking).toBe(false)
    expect(site.heard.filter((one) => one === '/auth/refresh').length).toBe(1)
  })

  it('keeps nothing of the page when another person logs in', async () => {
    const { session, getMe } = await page()
    await session.login(ada)
    site.end()
    void getMe()
    await vi.waitFor(() => {
      expect(session.asking).toBe(true)
    })
    await session.login({ login: 'eve', password: 'right' })
    expect(browser.assign).toHaveBeenCalledWith('/')
    expect(session.user?.name).toBe('ada')
  })

  it('fails what waits when the page is left instead', async () => {
    const { session, getMe } = await page()
    await session.login(ada)
    site.end()
    const waiting = getMe()
    await vi.waitFor(() => {
      expect(session.asking).toBe(true)
    })
    session.giveUp()
    await expect(waiting).rejects.toMatchObject({ code: 40100 })
    expect(session.user).toBeNull()
  })
})

describe('a refusal for want of a permission', () => {
  it('has the menu learn what one may do now', async () => {
    const { session } = await page()
    await session.login(ada)
    site.permissions = ['audit.read']
    const { listUsers } = await import('@/api/access')
    await expect(listUsers({})).rejects.toMatchObject({ code: 40301, denied: true })
    await vi.waitFor(() => {
      expect([session.may('vm.read'), session.may('audit.read')]).toEqual([false, true])
    })
  })
})

describe('a logout', () => {
  it('ends the session at the server and leaves a fresh page', async () => {
    const { session } = await page()
    await session.login(ada)
    await session.logout()
    expect(site.access.size).toBe(0)
    expect(browser.assign).toHaveBeenCalledWith('/login')
  })
})
