import { describe, expect, it } from 'vitest'
import { rangeStart, typedTime } from './audit'
import { diff } from './diff'

describe('diff', () => {
  it('shows leaves by path, what changed first', () => {
    const lines = diff({ name: 'a', scope: { kind: 'all' }, tags: ['x'] }, { name: 'b', scope: { kind: 'all' }, tags: ['x', 'y'], note: '' })
    expect(lines).toEqual([
      { path: 'name', before: 'a', after: 'b', kind: 'changed' },
      { path: 'tags', before: 'x', after: 'x, y', kind: 'changed' },
      { path: 'note', before: null, after: '""', kind: 'added' },
      { path: 'scope.kind', before: 'all', after: 'all', kind: 'same' },
    ])
  })

  it('of something made or removed has one side; of nothing, no line', () => {
    expect(diff(null, { name: 'a' })).toEqual([{ path: 'name', before: null, after: 'a', kind: 'added' }])
    expect(diff({ list: [{ id: 1 }] }, undefined)).toEqual([{ path: 'list.0.id', before: '1', after: null, kind: 'removed' }])
    expect(diff(null, null)).toEqual([])
  })
})

describe('times of the audit', () => {
  it('begin at whole minutes, so that asking again is the same question', () => {
    expect(rangeStart('h1', Date.parse('2026-05-01T12:00:42Z'))).toBe('2026-05-01T11:00:00.000Z')
    expect(rangeStart('', 0)).toBeUndefined()
    expect(rangeStart('own', 0)).toBeUndefined()
  })

  it('are taken as typed where the viewer is', () => {
    expect(typedTime('2026-05-01T10:00')).toBe(new Date('2026-05-01T10:00').toISOString())
    expect(typedTime('')).toBeUndefined()
    expect(typedTime('yesterday')).toBeUndefined()
  })
})
