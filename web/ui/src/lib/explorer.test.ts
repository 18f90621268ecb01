import { describe, expect, it } from 'vitest'
import { isComplete, parseQuestion, requestOf, zoomed } from './explorer'

describe('parseQuestion', () => {
  it('asks for those that use most processor time in the last day when the address says nothing', () => {
    expect(parseQuestion({})).toMatchObject({ kind: 'vm', of: 'top', n: 5, by: 'avg', metrics: ['cpu_time_ns'], span: 'h24', step: 'auto' })
  })

  it('knows whose history is meant from what is named', () => {
    expect(parseQuestion({ of: 'a,b,a' })).toMatchObject({ of: 'picked', picked: ['a', 'b'] })
    expect(parseQuestion({ group: 'g' })).toMatchObject({ of: 'group', group: 'g' })
    expect(parseQuestion({ group: 'g', by: 'top' })).toMatchObject({ of: 'top' })
  })

  it('falls back for what it does not know', () => {
    const asked = { kind: 'disk', n: '1000', rank: 'p99', range: 'live', step: '7', function: 'sum', compare: 'y9' }
    expect(parseQuestion(asked)).toEqual(parseQuestion({}))
  })

  it('takes a marked span before a range', () => {
    expect(parseQuestion({ range: 'h1', span: '100-200' }).span).toEqual({ from_ms: 100_000, to_ms: 200_000 })
  })
})

describe('isComplete', () => {
  it('needs a group, or something picked, where the question is of these', () => {
    expect(isComplete(parseQuestion({}))).toBe(true)
    expect(isComplete(parseQuestion({ by: 'group' }))).toBe(false)
    expect(isComplete(parseQuestion({ by: 'picked' }))).toBe(false)
    expect(isComplete(parseQuestion({ of: 'a' }))).toBe(true)
  })
})

describe('requestOf', () => {
  it('names exactly one selection', () => {
    expect(requestOf(parseQuestion({ of: 'a' }), 0, 1000)).toMatchObject({ entities: ['vm:a'] })
    expect(requestOf(parseQuestion({ of: 'a' }), 0, 1000)).not.toHaveProperty('top')
    expect(requestOf(parseQuestion({ group: 'g', n: '10' }), 0, 1000)).toMatchObject({ group: 'g', top: { n: 10, by: 'avg', metric: 'cpu_time_ns' } })
    expect(requestOf(parseQuestion({ kind: 'host' }), 0, 1000)).toMatchObject({ kind: 'host', top: { metric: 'load_1m' } })
  })

  it('gives numbers as numbers', () => {
    const request = requestOf(parseQuestion({ step: '300', compare: 'd1' }), 0, 1000)
    expect(request).toMatchObject({ step: 300, compare: { shift_s: 86_400 }, from: '1970-01-01T00:00:00.000Z' })
  })
})

describe('zoomed', () => {
  it('keeps the moment under the pointer where it is', () => {
    const { from_ms, to_ms } = zoomed(1000, 2000, 0.5, 0.25)
    expect(to_ms - from_ms).toBe(500)
    expect(from_ms + 0.25 * (to_ms - from_ms)).toBe(1250)
  })
})
