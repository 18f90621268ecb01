/** The spans of time that charts can show. */

export const RANGES = ['live', 'm15', 'h1', 'h6', 'h24', 'd7', 'd30', 'y1'] as const
export type Range = (typeof RANGES)[number]

/** A span between two moments, as somebody marked it in a chart. */
export interface Fixed {
  from_ms: number
  to_ms: number
}

/** What is shown: a range that ends now, or a fixed span. */
export type Span = Range | Fixed

const MINUTE_MS = 60_000
const DAY_MS = 1440 * MINUTE_MS

/** How much each range shows, in ms. */
export const SPAN_MS: Record<Range, number> = {
  live: 5 * MINUTE_MS,
  m15: 15 * MINUTE_MS,
  h1: 60 * MINUTE_MS,
  h6: 360 * MINUTE_MS,
  h24: DAY_MS,
  d7: 7 * DAY_MS,
  d30: 30 * DAY_MS,
  y1: 365 * DAY_MS,
}

/** Live charts fetch their history again this often: gaps are told by the database only. */
const LIVE_REFRESH_MS = 20_000
const SLOWEST_REFRESH_MS = 60_000
/** Nothing shorter can be marked: a sample a second is as fine as it gets. */
const LEAST_FIXED_MS = 2000

/** Whether a span is fixed, and does not move with the clock. */
export function isFixed(span: Span): span is Fixed {
  return typeof span !== 'string'
}

/** How much a span shows, in ms. */
export function length_ms(span: Span): number {
  return isFixed(span) ? span.to_ms - span.from_ms : SPAN_MS[span]
}

/** The two ends of a span at this moment. */
export function ends(span: Span, now_ms: number): Fixed {
  return isFixed(span) ? span : { from_ms: now_ms - SPAN_MS[span], to_ms: now_ms }
}

/** How often the history of a span is worth fetching again, in ms: about once a point, of 600. */
export function refresh_ms(span: Span): number {
  if (span === 'live') return LIVE_REFRESH_MS
  // What lies behind changes only by late samples.
  return isFixed(span) ? SLOWEST_REFRESH_MS : Math.max(5000, Math.min(SLOWEST_REFRESH_MS, SPAN_MS[span] / 300))
}

/** The range that an address names; live when it names none. */
export function parseRange(text: unknown): Range {
  return RANGES.find((range) => range === text) ?? 'live'
}

/** A fixed span as an address names it, in whole seconds: `from-to`. */
export function fixedText({ from_ms, to_ms }: Fixed): string {
  return `${Math.floor(from_ms / 1000)}-${Math.ceil(to_ms / 1000)}`
}

/** The fixed span that an address names; null when it names none. */
export function parseFixed(text: unknown): Fixed | null {
  const found = typeof text === 'string' ? /^(\d{1,11})-(\d{1,11})$/.exec(text) : null
  if (!found) return null
  const [from_ms, to_ms] = [Number(found[1]) * 1000, Number(found[2]) * 1000]
  return to_ms - from_ms >= LEAST_FIXED_MS ? { from_ms, to_ms } : null
}

/** The span that an address names by its parts `range` and `span`. */
export function parseSpan(range: unknown, span: unknown): Span {
  return parseFixed(span) ?? parseRange(range)
}
