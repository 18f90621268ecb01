import { describe, expect, it } from 'vitest'
import { COMPARISONS, parseComparison, shifted, spread, unite } from './compare'
import { layOut } from './lines'

const HOUR_MS = 3_600_000

describe('shifted', () => {
  it('moves samples and gaps by the same time', () => {
    const gap = { from_ms: 20, to_ms: 30, cause: 'busy', group: 'all' }
    const moved = shifted({ times: [10, 40], columns: { load: [1, 2] }, gaps: [gap] }, HOUR_MS)
    expect(moved.times).toEqual([HOUR_MS + 10, HOUR_MS + 40])
    expect(moved.columns).toEqual({ load: [1, 2] })
    expect(moved.gaps).toEqual([{ ...gap, from_ms: HOUR_MS + 20, to_ms: HOUR_MS + 30 }])
  })
})

describe('unite', () => {
  it('has each time once, and the rows of both', () => {
    expect(unite([1, 3], [2, 3, 4])).toEqual({ times: [1, 2, 3, 4], now: [0, -1, 1, -1], before: [-1, 0, 1, 2] })
  })

  it('keeps the lines of both whole where only the other one has a row', () => {
    const now = Array.from({ length: 10 }, (_, row) => row * 1000)
    const before = now.map((time) => time + 300)
    const rows = unite(now, before)
    const lines = [
      { values: spread(now.map(() => 1), rows.now), group: 'cheap' },
      { values: spread(before.map(() => 2), rows.before), group: 'cheap', gaps: [] },
    ]
    const { points } = layOut(rows.times, lines, [])
    expect(points[0]).toEqual(rows.times.map((_, row) => (row % 2 === 0 ? 1 : row === 19 ? null : undefined)))
    expect(points[1]?.filter((point) => point === null)).toEqual([null])
  })

  it('breaks the earlier line at its own gap, not at that of the present one', () => {
    const times = [0, 1000, 2000, 4000, 5000]
    const gap = { from_ms: 2500, to_ms: 3500, cause: 'busy', group: 'cheap' }
    const line = { values: times.map(() => 1), group: 'cheap' }
    expect(layOut(times, [{ ...line, gaps: [] }], [gap]).points[0]).not.toContain(null)
    expect(layOut(times, [{ ...line, gaps: [gap] }], []).points[0]).toContain(null)
  })
})

describe('parseComparison', () => {
  it('knows what it offers, and nothing else', () => {
    expect(Object.keys(COMPARISONS).map(parseComparison)).toEqual(Object.keys(COMPARISONS))
    expect(['', 'toString', undefined, ['d1']].map(parseComparison)).toEqual([null, null, null, null])
  })
})
