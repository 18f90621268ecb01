/** Until when a grant or a token holds. */

const DAY_MS = 86_400_000
const DAYS = { never: null, d1: 1, d7: 7, d30: 30, d90: 90, y1: 365 } as const
export type Length = keyof typeof DAYS
export const LENGTHS = Object.keys(DAYS) as Length[]

/** The end as RFC 3339: a length from now, or the end of `day` (`2026-05-01`) where the viewer is; null for none. */
export function expiryOf(length: Length | 'date', day: string, now_ms: number): string | null {
  if (length === 'date') {
    const end = new Date(`${day}T23:59:59`)
    return Number.isNaN(end.getTime()) ? null : end.toISOString()
  }
  const days = DAYS[length]
  return days === null ? null : new Date(now_ms + days * DAY_MS).toISOString()
}
