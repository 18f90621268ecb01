/** The spans of time that charts can show. */

export const RANGES = ['live', 'm15', 'h1', 'h6', 'h24', 'd7'] as const
export type Range = (typeof RANGES)[number]

const MINUTE_MS = 60_000

/** How much each range shows, in ms. */
export const SPAN_MS: Record<Range, number> = {
  live: 5 * MINUTE_MS,
  m15: 15 * MINUTE_MS,
  h1: 60 * MINUTE_MS,
  h6: 360 * MINUTE_MS,
  h24: 1440 * MINUTE_MS,
  d7: 10_080 * MINUTE_MS,
}

/** Live charts fetch their history again this often: gaps are told by the database only. */
const LIVE_REFRESH_MS = 20_000

/** How often the history of a range is worth fetching again, in ms: about once a point, of 600. */
export function refresh_ms(range: Range): number {
  return range === 'live' ? LIVE_REFRESH_MS : Math.max(5000, Math.min(60_000, SPAN_MS[range] / 300))
}

/** The range that an address names; live when it names none. */
export function parseRange(text: unknown): Range {
  return RANGES.find((range) => range === text) ?? 'live'
}
