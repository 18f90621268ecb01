import { describe, expect, it } from 'vitest'
import { deciding, inherited, reaches } from './role'

describe('roles', () => {
  const role = (id: string, parents: string[], ...entries: [string, 'allow' | 'deny'][]) => ({
    id,
    name: id,
    parents,
    entries: entries.map(([permission, effect]) => ({ permission, effect })),
  })
  const roles = [
    role('viewer', [], ['vm.read', 'allow']),
    role('operator', ['viewer'], ['group.write', 'allow']),
    role('night', ['operator', 'viewer'], ['group', 'deny']),
  ]

  it('get the rules of all roles above them, once', () => {
    expect(inherited(['operator', 'viewer'], roles).map((one) => one.permission)).toEqual(['group.write', 'vm.read'])
  })

  it('end where they turn in a circle', () => {
    const circle = [role('a', ['b'], ['vm', 'allow']), role('b', ['a'])]
    expect(inherited(['a'], circle).length).toBe(1)
    expect(reaches('a', 'nobody', circle)).toBe(false)
  })

  it('know who inherits from whom', () => {
    expect(reaches('night', 'viewer', roles)).toBe(true)
    expect(reaches('viewer', 'night', roles)).toBe(false)
    expect(reaches('viewer', 'viewer', roles)).toBe(true)
  })

  it('deny rather than allow', () => {
    const rules = inherited(['night'], roles)
    expect(deciding('group.write', rules)).toMatchObject({ role: 'night', effect: 'deny' })
    expect(deciding('vm.read', rules)).toMatchObject({ role: 'viewer', effect: 'allow' })
    expect(deciding('audit.read', rules)).toBeUndefined()
  })
})
