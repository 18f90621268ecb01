import { describe, expect, it } from 'vitest'
import type { HistoryAnswer, HistorySeries } from '@/api/history-types'
import { chartsOf, summary } from './history-lines'

const host = { id: 'h', name: 'rack-1' }
const series = (id: string, values: (number | null)[], extra: Partial<HistorySeries> = {}): HistorySeries => ({
  entity: { id: `vm:${id}`, name: id, host, vm: { id, name: id } },
  metric: 'cpu_time_ns',
  unit: 's/s',
  values,
  ...extra,
})
const answer = (parts: Partial<HistoryAnswer>): HistoryAnswer => ({
  kind: 'vm',
  from: '1970-01-01T00:00:00Z',
  to: '1970-01-01T00:10:00Z',
  step_s: 60,
  function: 'avg',
  tiers: [],
  times: [0, 60_000, 120_000, 180_000, 240_000],
  series: [],
  gaps: [],
  truncated: false,
  ...parts,
})
const charts = (parts: Partial<HistoryAnswer>) => chartsOf(answer(parts), ['cpu_time_ns'], false, () => 'cheap')

describe('chartsOf', () => {
  it('shows seconds a second as percent', () => {
    const [chart] = charts({ series: [series('a', [0.5, null, 1, 1, 1])] })
    expect(chart?.lines[0]?.values).toEqual([50, null, 100, 100, 100])
    expect(chart?.shown.unit).toBe('percent')
  })

  it('counts samples as numbers, whatever they measure', () => {
    const [chart] = chartsOf(answer({ series: [series('a', [60, 60])] }), ['cpu_time_ns'], true, () => null)
    expect(chart?.lines[0]?.values).toEqual([60, 60])
    expect(chart?.shown.unit).toBe('count')
  })

  it('gives each thing a colour of its own, and dashes where colours come again', () => {
    const [chart] = charts({ series: Array.from({ length: 8 }, (_, at) => series(String(at), [1, 1, 1, 1, 1])) })
    expect(chart?.lines.map((line) => line.colour)).toEqual([1, 2, 3, 4, 5, 6, 1, 2])
    expect(chart?.lines.map((line) => line.dashed)).toEqual([false, false, false, false, false, false, true, true])
  })

  it('shades a gap of the host for all of its machines, and marks that of one for it alone', () => {
    const gap = { from: '1970-01-01T00:01:30Z', to: '1970-01-01T00:02:30Z', cause: 'busy', group: 'all', ticks: 1 }
    const two = [series('a', [1, 1, null, 1, 1]), series('b', [1, 1, 1, 1, 1])]
    expect(charts({ series: two, gaps: [{ ...gap, entity: 'host:h' }] })[0]?.gaps).toMatchObject([{ whole: true, lines: [0, 1] }])
    expect(charts({ series: two, gaps: [{ ...gap, entity: 'vm:a' }] })[0]?.gaps).toMatchObject([{ whole: false, lines: [0] }])
    expect(charts({ series: two, gaps: [{ ...gap, entity: 'vm:c' }] })[0]?.gaps).toEqual([])
    expect(charts({ series: two, gaps: [{ ...gap, entity: 'host:h', group: 'dear' }] })[0]?.gaps).toEqual([])
  })

  it('breaks only the line whose gap it is', () => {
    const gap = { entity: 'vm:a', from: '1970-01-01T00:01:30Z', to: '1970-01-01T00:02:30Z', cause: 'busy', group: 'all', ticks: 1 }
    const [chart] = charts({ series: [series('a', [1, 1, null, 1, 1]), series('b', [1, 1, 1, 1, 1])], gaps: [gap] })
    expect(chart?.layout.points[0]).toContain(null)
    expect(chart?.layout.points[1]).not.toContain(null)
  })

  it('draws what is compared as a line of its own behind', () => {
    const [chart] = charts({ series: [series('a', [1, 1, 1, 1, 1], { compared: [0.5, 0.5, 0.5, 0.5, 0.5] })] })
    expect(chart?.layout.points).toHaveLength(2)
    expect(chart?.lines[0]?.earlier).toEqual([50, 50, 50, 50, 50])
  })
})

describe('summary', () => {
  it('is of the values that there are', () => {
    expect(summary([1, null, 3])).toEqual({ least: 1, mean: 2, most: 3, last: 3 })
    expect(summary([null])).toBeNull()
  })
})
