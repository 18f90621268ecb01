import { describe, expect, it } from 'vitest'
import { accountState } from './account'
import { expiryOf } from './expiry'
import { browserName } from './user-agent'

describe('an account', () => {
  it('is locked only until its time, and disabled before all', () => {
    const now_ms = Date.parse('2026-05-01T12:00:00Z')
    expect(accountState({}, now_ms)).toBe('active')
    expect(accountState({ locked_until: '2026-05-01T12:10:00Z' }, now_ms)).toBe('locked')
    expect(accountState({ locked_until: '2026-05-01T11:50:00Z' }, now_ms)).toBe('active')
    expect(accountState({ locked_until: '2026-05-01T12:10:00Z', disabled_at: '2026-04-01T00:00:00Z' }, now_ms)).toBe('disabled')
  })
})

describe('an expiry', () => {
  const now_ms = Date.parse('2026-05-01T12:00:00Z')

  it('is a length from now, none, or the end of a day where the viewer is', () => {
    expect(expiryOf('d7', '', now_ms)).toBe('2026-05-08T12:00:00.000Z')
    expect(expiryOf('never', '', now_ms)).toBeNull()
    expect(expiryOf('date', '2026-05-03', now_ms)).toBe(new Date('2026-05-03T23:59:59').toISOString())
    expect(expiryOf('date', '', now_ms)).toBeNull()
  })
})

describe('browserName', () => {
  it.each([
    ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36', 'Chrome 140 · Linux'],
    ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0', 'Edge 140 · Windows'],
    ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1', 'Safari 18 · iOS'],
    ['curl/8.5.0', 'curl/8.5.0'],
    ['', ''],
  ])('of %j is %j', (user_agent, name) => {
    expect(browserName(user_agent)).toBe(name)
  })
})
