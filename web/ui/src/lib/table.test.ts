import { describe, expect, it } from 'vitest'
import { append, carry, combine, emptyTable, fromAnswer, lastValue, rewind, samplesOf } from './table'

const history = fromAnswer({
  times: [1000, 2000],
  series: [
    { metric: 'a', values: [1, 2] },
    { metric: 'b', values: [null, 20] },
  ],
  gaps: [{ from: '1970-01-01T00:00:00Z', to: '1970-01-01T00:00:01Z', cause: 'busy', group: 'dear' }],
})

describe('append', () => {
  it('continues history with newer samples only', () => {
    const table = append(
      history,
      [
        { time: 2000, values: { a: 99 } },
        { time: 3000, values: { a: 3 } },
      ],
      ['a', 'b'],
      0,
    )
    expect(table.times).toEqual([1000, 2000, 3000])
    expect(table.columns).toEqual({ a: [1, 2, 3], b: [null, 20, null] })
  })

  it('forgets what has left the window, gaps too', () => {
    const table = append(history, [], ['a'], 1500)
    expect(table.times).toEqual([2000])
    expect(table.columns.a).toEqual([2])
    expect(table.gaps).toEqual([])
  })

  it('can start without history', () => {
    const table = append(emptyTable(), [{ time: 5, values: { a: 1 } }], ['a', 'b'], 0)
    expect(table.columns).toEqual({ a: [1], b: [null] })
  })

  it('puts samples that came out of order into order', () => {
    const samples = [
      { time: 4000, values: { a: 4 } },
      { time: 3000, values: { a: 3 } },
    ]
    expect(append(history, samples, ['a'], 0).columns.a).toEqual([1, 2, 3, 4])
  })

  it('finds the place of a part that comes late', () => {
    const table = append(history, [{ time: 1500, values: { b: 15 } }, { time: 1000, values: { a: 99, b: 10 } }], ['a', 'b'], 0)
    expect(table.times).toEqual([1000, 1500, 2000])
    expect(table.columns).toEqual({ a: [1, null, 2], b: [10, 15, 20] })
  })

  it('loses nothing when a table is turned into samples and back', () => {
    const again = append(emptyTable(), samplesOf(history), ['a', 'b'], 0)
    expect(again.times).toEqual(history.times)
    expect(again.columns).toEqual(history.columns)
  })
})

describe('rewind', () => {
  it('lets go of what lies ahead of a clock that was set back', () => {
    const ahead = append(history, [{ time: 3_600_000, values: { a: 3 } }], ['a'], 0)
    expect(rewind(ahead, 2500)).toEqual({ ...history, columns: { a: [1, 2] } })
  })

  it('keeps everything while samples come as usual', () => {
    expect(rewind(history, 3000)).toBe(history)
    expect(rewind(history, 1999)).toBe(history)
    expect(rewind(emptyTable(), 1)).toEqual(emptyTable())
  })
})

describe('columns', () => {
  it('carries a value forward, and the first one back', () => {
    expect(carry([null, 2, null, 4, null])).toEqual([2, 2, 2, 4, 4])
    expect(carry([null, null])).toEqual([null, null])
  })

  it('combines rows that are whole and drops results that are no numbers', () => {
    const half = (a: number, b: number) => a / b
    expect(combine([[1, null, 1], [2, 2, 0]], half)).toEqual([0.5, null, null])
  })

  it('finds the newest value', () => {
    expect(lastValue([1, 2, null])).toBe(2)
    expect(lastValue([])).toBeNull()
  })
})
