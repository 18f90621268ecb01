/** Holding a span of time against an earlier one of the same length. */
import type { Column, Gap, Table } from './table'

const HOUR_MS = 3_600_000

/** How far back each comparison looks, in ms; all of them are whole steps of any history. */
export const COMPARISONS = { h1: HOUR_MS, d1: 24 * HOUR_MS, d7: 168 * HOUR_MS, d28: 672 * HOUR_MS } as const
export type Comparison = keyof typeof COMPARISONS

/** The comparison that an address names; null when it names none. */
export function parseComparison(text: unknown): Comparison | null {
  return (Object.keys(COMPARISONS) as Comparison[]).find((one) => one === text) ?? null
}

function later(gap: Gap, shift_ms: number): Gap {
  return { ...gap, from_ms: gap.from_ms + shift_ms, to_ms: gap.to_ms + shift_ms }
}

/** An earlier table moved so that it lies under the present one. */
export function shifted(table: Table, shift_ms: number): Table {
  return {
    times: table.times.map((time) => time + shift_ms),
    columns: table.columns,
    gaps: table.gaps.map((gap) => later(gap, shift_ms)),
  }
}

/** The times of two tables together; of each time its row in either, -1 where it has none. */
export interface United {
  times: number[]
  now: number[]
  before: number[]
}

export function unite(now: number[], before: number[]): United {
  const times = [...new Set([...now, ...before])].sort((a, b) => a - b)
  const rows = (of: number[]) => {
    const at = new Map(of.map((time, row) => [time, row]))
    return times.map((time) => at.get(time) ?? -1)
  }
  return { times, now: rows(now), before: rows(before) }
}

/** A column put on the rows of the united times. */
export function spread(values: Column, rows: number[]): Column {
  return rows.map((row) => (row < 0 ? null : (values[row] ?? null)))
}
