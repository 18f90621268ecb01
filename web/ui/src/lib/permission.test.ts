import { describe, expect, it } from 'vitest'
import { condensed, covers, mayEverywhere, mayInGroup, maySomewhere, type Held } from './permission'

const everywhere = (permission: string): Held => ({ permission, scope: { kind: 'all', id: null } })
const within = (permission: string, id: string): Held => ({ permission, scope: { kind: 'group', id } })

describe('covers', () => {
  it.each([
    ['vm', 'vm.read', true],
    ['vm.read', 'vm.read', true],
    ['*', 'audit.read', true],
    ['vm.read', 'vm', false],
    ['vm', 'vms.read', false],
    ['user.read', 'user.write', false],
  ])('%s of %s: %s', (held, wanted, expected) => {
    expect(covers(held, wanted)).toBe(expected)
  })
})

describe('may', () => {
  const held = [everywhere('host.read'), within('group', 'g1')]

  it('open a menu entry when it is allowed somewhere', () => {
    expect(maySomewhere(held, 'group.write')).toBe(true)
    expect(maySomewhere(held, 'user.read')).toBe(false)
    expect(maySomewhere([], 'host.read')).toBe(false)
  })

  it('do everywhere only what is not limited', () => {
    expect(mayEverywhere(held, 'host.read')).toBe(true)
    expect(mayEverywhere(held, 'group.write')).toBe(false)
  })

  it('do within a group what is allowed there or everywhere', () => {
    expect(mayInGroup(held, 'group.write', 'g1')).toBe(true)
    expect(mayInGroup(held, 'group.write', 'g2')).toBe(false)
    expect(mayInGroup(held, 'host.read', 'g2')).toBe(true)
  })
})

describe('condensed', () => {
  it('leaves out what another one of the same scope includes', () => {
    const held = [everywhere('vm'), everywhere('vm.read'), within('vm.read', 'g1'), within('vm.read', 'g2')]
    expect(condensed(held)).toEqual([everywhere('vm'), within('vm.read', 'g1'), within('vm.read', 'g2')])
    expect(condensed([everywhere('vm.read'), everywhere('*'), everywhere('vm')])).toEqual([everywhere('*')])
  })
})
