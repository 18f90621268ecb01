import { describe, expect, it } from 'vitest'
import { localPath } from './local-path'
import { allowed, forPhone, PLACES, within } from './navigation'

describe('the menu', () => {
  it('has only what somebody may see', () => {
    const names = (...held: string[]) => allowed((one) => held.includes(one)).map((place) => place.name)
    expect(names('vm.read')).toEqual(['overview', 'vms', 'history', 'wall'])
    expect(names('audit.read')).toEqual(['audit'])
    expect(names()).toEqual([])
  })

  it('fits on a phone: what does not stands behind the last button', () => {
    const { shown, more } = forPhone(PLACES, 5)
    expect(shown.length).toBe(4)
    expect([...shown, ...more]).toEqual(PLACES)
    expect(forPhone(PLACES.slice(0, 5), 5).more).toEqual([])
  })

  it('marks the place above the page that is open', () => {
    const marked = (path: string) => PLACES.filter((place) => within(place, path)).map((place) => place.name)
    expect(marked('/')).toEqual(['overview'])
    expect(marked('/vms/7')).toEqual(['vms'])
    expect(marked('/usersx')).toEqual([])
  })
})

describe('localPath', () => {
  it.each([
    ['/vms?state=running', '/vms?state=running'],
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['https://evil.example', '/'],
    ['javascript:alert(1)', '/'],
    [undefined, '/'],
    [['/a', '/b'], '/'],
  ])('of %j is %j', (wanted, path) => {
    expect(localPath(wanted)).toBe(path)
  })
})
