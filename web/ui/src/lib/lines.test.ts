import { describe, expect, it } from 'vitest'
import { gapsAt, gapsOf, isolated, layOut, readableRow, reach, stack } from './lines'
import type { Column, Gap } from './table'

const seconds = (from: number, to: number, step = 1) =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => (from + index * step) * 1000)
const gap = (from_ms: number, to_ms: number, group: string): Gap => ({ from_ms, to_ms, group, cause: 'busy' })

describe('layOut', () => {
  it('passes over rows in which a slow metric was not due', () => {
    const times = seconds(0, 15)
    const slow = times.map((time) => (time % 5000 === 0 ? 1 : null))
    const { points, times: rows } = layOut(times, [{ values: slow, group: 'dear' }], [])
    expect(rows).toEqual(times)
    expect(points[0]?.slice(0, 6)).toEqual([1, undefined, undefined, undefined, undefined, 1])
  })

  it('breaks a line where rows are missing', () => {
    const times = [...seconds(0, 5), ...seconds(30, 35)]
    const { points, times: rows } = layOut(times, [{ values: times.map(() => 2), group: 'cheap' }], [])
    expect(rows).toHaveLength(times.length + 1)
    expect(points[0]?.indexOf(null)).toBe(6)
    expect(rows[6]).toBe(17_500)
  })

  it('keeps a line whole while an agent stretches its interval, and takes it back', () => {
    const times = [0, 5, 10, 15, 20, 25, 35, 45, 65, 105, 145, 165, 170, 175, 180].map((second) => second * 1000)
    const line = { values: times.map(() => 1), group: 'dear' as const }
    expect(layOut(times, [line], []).points[0]).toEqual(line.values)
    expect(reach(times.slice(0, 11), line.values)).toBe(120_000)
  })

  it('breaks a line that stays away for longer than any stretched interval', () => {
    const times = [...seconds(0, 60, 5), ...seconds(100, 160, 5)]
    expect(layOut(times, [{ values: times.map(() => 1), group: 'dear' }], []).points[0]).toContain(null)
  })

  it('breaks a line at a gap of its group even when only one sample is missing', () => {
    const times = [0, 1000, 2000, 4000, 5000, 6000]
    const line = { values: [1, 1, 1, 1, 1, 1], group: 'cheap' as const }
    expect(layOut(times, [line], [gap(3000, 3000, 'cheap')]).points[0]).toEqual([1, 1, 1, null, 1, 1, 1])
    expect(layOut(times, [line], []).points[0]).toEqual([1, 1, 1, 1, 1, 1])
  })

  it('keeps a coarse line whole over a gap that is shorter than its step', () => {
    const times = seconds(0, 600, 60)
    const line = { values: times.map(() => 1), group: 'cheap' as const }
    expect(layOut(times, [line], [gap(130_000, 135_000, 'cheap')]).points[0]).toEqual(line.values)
  })

  it('does not break the lines of another group at a gap', () => {
    const times = [0, 1000, 3000, 4000, 5000]
    const { points } = layOut(times, [{ values: [1, 1, 1, 1, 1], group: 'cheap' }], [gap(1200, 2800, 'dear')])
    expect(points[0]?.includes(null)).toBe(false)
  })

  it('breaks every line at a gap that took whole ticks', () => {
    const times = [0, 1000, 3000, 4000, 5000]
    const { points } = layOut(times, [{ values: [1, 1, 1, 1, 1], group: 'host' }], [gap(2000, 2000, 'all')])
    expect(points[0]?.includes(null)).toBe(true)
  })

  it('does not join what is missing between two values', () => {
    const values: Column = [1, 1, 1, 1, ...new Array<null>(20).fill(null), 1, 1, 1]
    const { points } = layOut(seconds(0, 26), [{ values, group: 'cheap' }], [])
    expect(points[0]?.[10]).toBeNull()
  })

  it('remembers where each row came from', () => {
    const times = [...seconds(0, 2), ...seconds(20, 22)]
    expect(layOut(times, [{ values: [1, 1, 1, 1, 1, 1], group: 'cheap' }], []).source).toEqual([0, 1, 2, -1, 3, 4, 5])
  })

  it('takes an empty table', () => {
    expect(layOut([], [{ values: [], group: 'cheap' }], []).points).toEqual([[]])
  })
})

describe('the gaps of a chart', () => {
  const [cheap, dear, all] = [gap(0, 1, 'cheap'), gap(2, 3, 'dear'), gap(4, 5, 'all')]

  it('are those of its own part of sampling', () => {
    expect(gapsOf([cheap, dear, all], ['cheap', 'cheap']).map((one) => one.group)).toEqual(['cheap', 'all'])
    expect(gapsOf([cheap, dear], ['host'])).toEqual([])
  })

  it('tell which lines they leave alone', () => {
    const [first, second, third] = gapsOf([cheap, dear, all], ['cheap', 'dear'])
    expect([first?.lines, first?.whole]).toEqual([[0], false])
    expect([second?.lines, second?.whole]).toEqual([[1], false])
    expect([third?.lines, third?.whole]).toEqual([[0, 1], true])
  })

  it('are only those of whole ticks while the catalogue is not known', () => {
    expect(gapsOf([cheap, dear, all], [null]).map((one) => one.group)).toEqual(['all'])
  })
})

describe('the gaps told at a row', () => {
  const told = (times: number[], values: Column, gaps: Gap[]) => {
    const layout = layOut(times, [{ values, group: 'host' }], gaps)
    const own = gapsOf(gaps, ['host'])
    return layout.times.map((_, row) => gapsAt(own, layout, row).length)
  }

  it('lie between the measured samples at their ends', () => {
    const times = [0, 1000, 2000, 9000, 10_000]
    // The empty row between the two stands for what is missing.
    expect(told(times, [1, 1, 1, 1, 1], [gap(2000, 9000, 'all')])).toEqual([0, 0, 0, 1, 0, 0])
  })

  it('are told at a moment at which nothing was measured', () => {
    expect(told([0, 1000, 2000], [1, null, 1], [gap(1000, 1000, 'host')])).toEqual([0, 1, 0])
  })

  it('are told before a row when they lie within one step', () => {
    const minutes = [0, 60_000, 120_000]
    expect(told(minutes, [1, 1, 1], [gap(61_000, 75_000, 'host')])).toEqual([0, 1, 0])
    expect(told([0, 1000, 2000], [1, 1, 1], [gap(1000, 2000, 'all')])).toEqual([0, 1, 0])
  })
})

describe('the rest', () => {
  it('takes the usual interval for the reach, not a rare one', () => {
    const times = [...seconds(0, 100, 5), ...seconds(500, 600, 5)]
    expect(reach(times, times.map(() => 1))).toBe(15_000)
  })

  it('stacks, and has no sum where a part is missing', () => {
    expect(stack([[1, 2, null], [10, null, 30], [100, 200, 300]])).toEqual([
      [1, 2, null],
      [11, null, null],
      [111, null, null],
    ])
  })

  it('finds points that nothing joins', () => {
    expect(isolated([1, null, 1, undefined, 1, null, undefined, 1])).toEqual([0, 7])
  })

  it('reads the value that the line carries over a row', () => {
    expect(readableRow([5, undefined, undefined, 6], 2)).toBe(0)
    expect(readableRow([5, null, undefined], 2)).toBe(-1)
    expect(readableRow([undefined], 0)).toBe(-1)
  })
})
