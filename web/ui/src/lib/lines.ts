/**
 * Which points a chart may join. A line runs on over rows in which a metric merely was not due (slow metrics share rows
 * with fast ones), and breaks wherever a sample is missing: nothing is drawn that was not measured.
 */
import type { Column, Gap } from './table'

/** A point as uPlot takes it: null breaks the line, undefined is passed over. */
export type Point = number | null | undefined

/** A line of a chart before it is laid out. */
export interface Line {
  values: Column
  /** Sampling group, to know which gaps concern the line. */
  group: 'host' | 'cheap' | 'dear'
}

/** Rows and points ready to draw. */
export interface Layout {
  times: number[]
  points: Point[][]
  /** Row of the original times, or -1 for an empty row. */
  source: number[]
}

/** A line breaks when the next point is later than this many of its usual intervals. */
const TOLERATED_INTERVALS = 3
/** Two points this near are always joined, whatever the usual interval seems to be. */
const ALWAYS_JOINED_MS = 3500

/** Whether a gap of the ledger concerns a line of that sampling group. */
export function concerns(gap: Gap, group: string): boolean {
  return gap.group === group || gap.group === 'all'
}

function median(sorted: number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** The longest distance between two points of this line that still is its rhythm, in ms. */
export function reach(times: number[], values: Column): number {
  const intervals: number[] = []
  let last: number | null = null
  times.forEach((time, row) => {
    if (values[row] == null) return
    if (last !== null) intervals.push(time - last)
    last = time
  })
  intervals.sort((a, b) => a - b)
  return Math.max(ALWAYS_JOINED_MS, median(intervals) * TOLERATED_INTERVALS)
}

/** Rows after which nothing may be joined: pairs of neighbours that are too far apart for every line, or have a gap between. */
function separators(times: number[], lines: Line[], gaps: Gap[]): number[] {
  const limit = Math.min(...lines.map((line) => reach(times, line.values)))
  const rows: number[] = []
  for (let row = 0; row + 1 < times.length; row += 1) {
    const from = times[row] ?? 0
    const to = times[row + 1] ?? 0
    if (to - from > limit || gaps.some((gap) => gap.from_ms < to && gap.to_ms > from)) rows.push(row)
  }
  return rows
}

function pointsOf(times: number[], line: Line, gaps: Gap[]): Point[] {
  const limit = reach(times, line.values)
  const own = gaps.filter((gap) => concerns(gap, line.group))
  const points: Point[] = line.values.map((one) => one ?? null)
  let last = -1
  for (let row = 0; row < points.length; row += 1) {
    if (points[row] === null) continue
    const from = times[last] ?? 0
    const to = times[row] ?? 0
    const joined = last >= 0 && to - from <= limit && !own.some((gap) => gap.from_ms < to && gap.to_ms > from)
    if (joined) points.fill(undefined, last + 1, row)
    last = row
  }
  return points
}

/** Lays the lines out over `times`, with an empty row wherever something is missing. */
export function layOut(times: number[], lines: Line[], gaps: Gap[]): Layout {
  if (lines.length === 0 || times.length === 0) return { times: [...times], points: lines.map(() => []), source: times.map((_, row) => row) }
  const after = new Set(separators(times, lines, gaps))
  const rows: number[] = []
  const source: number[] = []
  times.forEach((time, row) => {
    rows.push(time)
    source.push(row)
    if (after.has(row)) {
      rows.push((time + (times[row + 1] ?? time)) / 2)
      source.push(-1)
    }
  })
  const points = lines.map((line) =>
    pointsOf(
      rows,
      { ...line, values: source.map((row) => (row < 0 ? null : (line.values[row] ?? null))) },
      gaps,
    ),
  )
  return { times: rows, points, source }
}

/** Each line on top of the ones before it; a row with a missing part has no sum. */
export function stack(layers: Column[]): Column[] {
  const below: Column = []
  return layers.map((layer, index) =>
    layer.map((one, row) => {
      const base = index === 0 ? 0 : below[row]
      const sum = one == null || base == null ? null : base + one
      below[row] = sum
      return sum
    }),
  )
}

/** Points that have no neighbour to be joined with: drawn as dots, or nobody would see them. */
export function isolated(points: Point[]): number[] {
  const found: number[] = []
  const neighbour = (row: number, step: number): Point => {
    let at = row + step
    while (at >= 0 && at < points.length && points[at] === undefined) at += step
    return at < 0 || at >= points.length ? null : points[at]
  }
  points.forEach((point, row) => {
    if (point != null && neighbour(row, -1) == null && neighbour(row, 1) == null) found.push(row)
  })
  return found
}

/** The row whose value a reader at `row` should be told: the one before it, where the line passes over `row`; -1 for none. */
export function readableRow(points: Point[], row: number): number {
  let at = row
  while (at >= 0 && points[at] === undefined) at -= 1
  return at >= 0 && points[at] !== null ? at : -1
}
