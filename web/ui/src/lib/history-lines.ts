/** The answer about many, as lines of one chart for each metric. */
import type { HistoryAnswer, HistorySeries } from '@/api/history-types'
import { concerns, layOut, type ChartGap, type Layout } from './lines'
import { shownAs, type Shown } from './metric'
import type { Column, Gap } from './table'

/** The palette has this many colours; further lines have them again, dashed. */
const COLOURS = 6

export interface EntityLine {
  series: HistorySeries
  colour: number
  dashed: boolean
  values: Column
  earlier: Column | null
}

export interface MetricChart {
  metric: string
  shown: Shown
  lines: EntityLine[]
  layout: Layout
  gaps: ChartGap[]
}

/** A gap and whose it is. */
export interface OwnedGap extends Gap {
  entity: string
}

const times = (values: (number | null)[], factor: number): Column =>
  factor === 1 ? values : values.map((value) => (value === null ? null : value * factor))

/** Whether a gap is of this thing, or of the host that it is on. */
export function isOf(gap: OwnedGap, series: HistorySeries): boolean {
  return gap.entity === series.entity.id || (series.entity.host !== null && gap.entity === `host:${series.entity.host.id}`)
}

export function gapsOfAnswer(answer: HistoryAnswer): OwnedGap[] {
  return answer.gaps.map((gap) => ({
    entity: gap.entity,
    from_ms: Date.parse(gap.from),
    to_ms: Date.parse(gap.to),
    cause: gap.cause,
    group: gap.group,
  }))
}

/** The gaps of a chart whose lines are of one part of sampling. */
function chartGaps(gaps: OwnedGap[], lines: EntityLine[], group: string | null): ChartGap[] {
  return gaps.flatMap((gap) => {
    if (!concerns(gap, group)) return []
    const touched = lines.flatMap((line, index) => (isOf(gap, line.series) ? [index] : []))
    return touched.length > 0 ? [{ ...gap, lines: touched, whole: touched.length === lines.length }] : []
  })
}

/** One chart for each metric, in the order asked for; `groupOf` says which part of sampling brings a metric. */
export function chartsOf(answer: HistoryAnswer, metrics: string[], counts: boolean, groupOf: (metric: string) => string | null): MetricChart[] {
  const gaps = gapsOfAnswer(answer)
  return metrics.map((metric) => {
    const own = answer.series.filter((one) => one.metric === metric)
    const shown = shownAs(own[0]?.unit ?? '1', counts)
    const group = groupOf(metric)
    const lines = own.map((series, index): EntityLine => ({
      series,
      colour: (index % COLOURS) + 1,
      dashed: index >= COLOURS,
      values: times(series.values, shown.factor),
      earlier: series.compared ? times(series.compared, shown.factor) : null,
    }))
    const now = lines.map((line) => ({ values: line.values, group, gaps: gaps.filter((gap) => isOf(gap, line.series)) }))
    const before = lines.flatMap((line) => (line.earlier ? [{ values: line.earlier, group, gaps: [] }] : []))
    return { metric, shown, lines, gaps: chartGaps(gaps, lines, group), layout: layOut(answer.times, [...now, ...before], gaps) }
  })
}

/** Least, mean, greatest and last of the values; null without any. */
export function summary(values: Column): { least: number; mean: number; most: number; last: number } | null {
  let [least, most, sum, count, last] = [Infinity, -Infinity, 0, 0, 0]
  for (const value of values) {
    if (value == null) continue
    least = Math.min(least, value)
    most = Math.max(most, value)
    sum += value
    count += 1
    last = value
  }
  return count === 0 ? null : { least, mean: sum / count, most, last }
}
