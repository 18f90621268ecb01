import { beforeEach, describe, expect, it } from 'vitest'
import { SessionKeeper, type Means } from './session-keeper'

/** What tabs of one browser share, and a server that renews a session. */
class Browser {
  now_ms = 1_000_000
  until: string | null = null
  renewals = 0
  logins = 0
  /** What the server does: renews, refuses, or can't be reached. */
  server: 'renews' | 'refuses' | 'unreachable' = 'renews'
  logs_in = true
  private last: Promise<unknown> = Promise.resolve()

  tab(): SessionKeeper {
    const means: Means = {
      memory: {
        get: () => this.until,
        set: (value) => {
          this.until = value
        },
      },
      now: () => this.now_ms,
      alone: (work) => {
        const turn = this.last.then(work)
        this.last = turn.catch(() => undefined)
        return turn
      },
      renew: () => {
        this.renewals += 1
        this.now_ms += 1
        if (this.server === 'unreachable') return Promise.reject(new Error('unreachable'))
        return Promise.resolve(this.server === 'renews' ? 900 : null)
      },
      ask: () => {
        this.logins += 1
        return Promise.resolve(this.logs_in)
      },
    }
    return new SessionKeeper(means)
  }
}

let browser: Browser
let keeper: SessionKeeper

beforeEach(() => {
  browser = new Browser()
  keeper = browser.tab()
  keeper.renewed(900)
})

describe('staleness', () => {
  it('begins shortly before the end, and not without a known session', () => {
    expect(keeper.stale()).toBe(false)
    browser.now_ms += 869_000
    expect(keeper.stale()).toBe(false)
    browser.now_ms += 2000
    expect(keeper.stale()).toBe(true)
    keeper.forget()
    expect(keeper.stale()).toBe(false)
  })
})

describe('recovery', () => {
  it('renews once for all requests that wait', async () => {
    const seen = keeper.generation()
    const all = await Promise.all([keeper.recover(seen), keeper.recover(seen), keeper.recover(seen)])
    expect(all).toEqual([true, true, true])
    expect(browser.renewals).toBe(1)
  })

  it('renews once for all tabs: a refresh token that is used twice would end the session', async () => {
    const other = browser.tab()
    const seen = keeper.generation()
    expect(await Promise.all([keeper.recover(seen), other.recover(seen)])).toEqual([true, true])
    expect(browser.renewals).toBe(1)
  })

  it('renews again when the renewed session is over, too', async () => {
    await keeper.recover(keeper.generation())
    await keeper.recover(keeper.generation())
    expect(browser.renewals).toBe(2)
  })

  it('asks for one login when the server refuses, and goes on after it', async () => {
    browser.server = 'refuses'
    const seen = keeper.generation()
    expect(await Promise.all([keeper.recover(seen), keeper.recover(seen)])).toEqual([true, true])
    expect([browser.renewals, browser.logins]).toEqual([1, 1])
  })

  it('gives up when nobody logs in', async () => {
    browser.server = 'refuses'
    browser.logs_in = false
    expect(await keeper.recover(keeper.generation())).toBe(false)
  })

  it('asks for no login because the server is away', async () => {
    browser.server = 'unreachable'
    await expect(keeper.recover(keeper.generation())).rejects.toThrow('unreachable')
    expect(browser.logins).toBe(0)
    browser.server = 'renews'
    expect(await keeper.recover(keeper.generation())).toBe(true)
  })

  it('is not waited for by a request that was given up', async () => {
    const own = new AbortController()
    const waiting = keeper.recover(keeper.generation(), own.signal)
    own.abort()
    await expect(waiting).rejects.toThrow('given up')
    await expect(keeper.recover(keeper.generation(), AbortSignal.abort())).rejects.toThrow('given up')
  })
})
