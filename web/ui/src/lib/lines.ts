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
  /** The part of sampling that brings it, to know which gaps concern the line; null when that is not known. */
  group: string | null
  /** The gaps of the line where they are not those of the chart: an earlier time has its own. */
  gaps?: Gap[]
}

/** Rows and points ready to draw. */
export interface Layout {
  times: number[]
  points: Point[][]
  /** Row of the original times, or -1 for an empty row. */
  source: number[]
}

/** A line breaks when the next point is later than this many of its usual intervals, or of the interval before. */
const TOLERATED_INTERVALS = 3
/** Of the interval before, as far as an agent that has too much to do may have stretched it. */
const STRETCHED_INTERVALS = 12
/** Two points this near are always joined, whatever the usual interval seems to be. */
const ALWAYS_JOINED_MS = 3500
/** A point is missing between two that are this many usual intervals apart: if the ledger has a gap there, the line breaks. */
const MISSED_ONE = 1.5

/** A gap as a chart shows it. */
export interface ChartGap extends Gap {
  /** Which lines miss samples, by index. */
  lines: number[]
  /** Whether all of them do. */
  whole: boolean
}

/** Whether a gap of the ledger concerns a line of that part of sampling. */
export function concerns(gap: Gap, group: string | null): boolean {
  return gap.group === group || gap.group === 'all'
}

/** The gaps that concern a chart with lines of these parts of sampling. */
export function gapsOf(gaps: Gap[], groups: (string | null)[]): ChartGap[] {
  return gaps.flatMap((gap) => {
    const lines = groups.flatMap((group, index) => (concerns(gap, group) ? [index] : []))
    return lines.length > 0 ? [{ ...gap, lines, whole: lines.length === groups.length }] : []
  })
}

/** The usual distance between two points of this line, in ms: the median, which rare outages don't change. */
function interval(times: number[], values: Column): number {
  const distances: number[] = []
  let last: number | null = null
  times.forEach((time, row) => {
    if (values[row] == null) return
    if (last !== null) distances.push(time - last)
    last = time
  })
  distances.sort((a, b) => a - b)
  return distances[Math.floor(distances.length / 2)] ?? 0
}

/**
 * The longest distance between two points that still is the rhythm of a line, in ms, when the two points before were
 * `before_ms` apart: an agent that has too much to do doubles its interval, and halves it again later.
 */
function rhythm(usual_ms: number, before_ms: number): number {
  const stretched = Math.min(before_ms * TOLERATED_INTERVALS, usual_ms * STRETCHED_INTERVALS)
  return Math.max(ALWAYS_JOINED_MS, usual_ms * TOLERATED_INTERVALS, stretched)
}

/** How long after its newest point a line's value still is the present one, in ms. */
export function reach(times: number[], values: Column): number {
  const rows = times.flatMap((time, row) => (values[row] == null ? [] : [time]))
  const before_ms = (rows.at(-1) ?? 0) - (rows.at(-2) ?? rows.at(-1) ?? 0)
  return rhythm(interval(times, values), before_ms)
}

/** How far the last of the `points` (times, rising) up to `time_ms` is from the one before it, in ms; 0 without such. */
function intervalBefore(points: number[], time_ms: number): number {
  let [low, high] = [0, points.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((points[middle] ?? 0) <= time_ms) low = middle + 1
    else high = middle
  }
  return low < 2 ? 0 : (points[low - 1] ?? 0) - (points[low - 2] ?? 0)
}

/** Says of two neighbouring moments whether a line may run from one to the other. */
function joiner(times: number[], line: Line, gaps: Gap[]): (from_ms: number, to_ms: number) => boolean {
  const usual = interval(times, line.values)
  const own = (line.gaps ?? gaps).filter((gap) => concerns(gap, line.group))
  const points = times.filter((_, row) => line.values[row] != null)
  return (from_ms, to_ms) => {
    const distance = to_ms - from_ms
    if (distance > rhythm(usual, intervalBefore(points, from_ms))) return false
    // Within one step of a coarse history a gap is only shaded: both of its ends have been measured.
    return distance <= usual * MISSED_ONE || !own.some((gap) => gap.from_ms < to_ms && gap.to_ms > from_ms)
  }
}

/** Rows between which an empty row is needed, because some line must break where no row is. */
function separators(times: number[], lines: Line[], gaps: Gap[]): Set<number> {
  const joiners = lines.map((line) => joiner(times, line, gaps))
  const rows = new Set<number>()
  for (let row = 0; row + 1 < times.length; row += 1) {
    const [from, to] = [times[row] ?? 0, times[row + 1] ?? 0]
    if (joiners.some((joined) => !joined(from, to))) rows.add(row)
  }
  return rows
}

function pointsOf(times: number[], line: Line, joined: (from_ms: number, to_ms: number) => boolean): Point[] {
  const points: Point[] = line.values.map((one) => one ?? null)
  let last = -1
  for (let row = 0; row < points.length; row += 1) {
    if (points[row] === null) continue
    if (last >= 0 && joined(times[last] ?? 0, times[row] ?? 0)) points.fill(undefined, last + 1, row)
    last = row
  }
  return points
}

/** Lays the lines out over `times`, with an empty row wherever something is missing. */
export function layOut(times: number[], lines: Line[], gaps: Gap[]): Layout {
  if (lines.length === 0 || times.length === 0) return { times: [...times], points: lines.map(() => []), source: times.map((_, row) => row) }
  const after = separators(times, lines, gaps)
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
  const points = lines.map((line) => {
    const values = source.map((row) => (row < 0 ? null : (line.values[row] ?? null)))
    return pointsOf(rows, { ...line, values }, joiner(times, line, gaps))
  })
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

/**
 * The gaps that a reader at this row of the layout should be told. A gap's ends may be samples that were measured (the last
 * before it and the first after it): they are not missing. A gap within one step, where no row is, is told before it.
 */
export function gapsAt(gaps: ChartGap[], layout: Layout, row: number): ChartGap[] {
  const time = layout.times[row] ?? 0
  const next = layout.times[row + 1] ?? time
  const joined = (layout.source[row] ?? -1) >= 0 && (layout.source[row + 1] ?? -1) >= 0
  return gaps.filter((gap) => {
    if (gap.from_ms < time && gap.to_ms > time) return true
    if (joined && gap.from_ms < next && gap.to_ms > time) return true
    const measured = gap.lines.some((line) => layout.points[line]?.[row] != null)
    return !measured && gap.from_ms <= time && gap.to_ms >= time
  })
}
