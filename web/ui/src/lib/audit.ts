/** The audit's filters, and how its results look. */
import type { Tone } from './state'

/** Beginnings of actions that belong together. */
export const ACTION_PARTS = ['login', 'session', 'user', 'grant', 'role', 'group', 'token', 'totp', 'access', 'setup', 'signing_key'] as const

export const RESULTS = ['done', 'denied', 'failed'] as const

export const RESULT_TONES: Record<string, Tone> = { done: 'good', denied: 'warn', failed: 'bad' }

const HOUR_MS = 3_600_000
export const AUDIT_RANGES: Record<string, number> = { h1: HOUR_MS, h24: 24 * HOUR_MS, d7: 168 * HOUR_MS, d30: 720 * HOUR_MS }

/** The beginning of a range that ends now; none for an unknown one. Whole minutes, so that asking again is the same question. */
export function rangeStart(range: string, now_ms: number): string | undefined {
  const span_ms = AUDIT_RANGES[range]
  return span_ms === undefined ? undefined : new Date(Math.floor((now_ms - span_ms) / 60_000) * 60_000).toISOString()
}

/** A day and time as typed in a field (`2026-05-01T10:00`, where the viewer is) as the server reads it. */
export function typedTime(typed: string): string | undefined {
  const time = new Date(typed)
  return typed === '' || Number.isNaN(time.getTime()) ? undefined : time.toISOString()
}
