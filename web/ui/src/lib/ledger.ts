/** What the pages of the ledger know of it without asking. */

/** Every cause, in the order of the filter: what sampling missed, what the buffer gave up, what did not run. */
export const CAUSES = [
  'deadline',
  'libvirt_down',
  'busy',
  'evicted_by_size',
  'evicted_by_age',
  'corruption',
  'buffer_full',
  'agent_down',
  'agent_stopped',
  'agent_killed',
  'host_down',
  'host_suspended',
  'clock_step',
  'unexplained',
] as const

const HOUR_MS = 3_600_000

/** How far the filter reaches back. */
export const LEDGER_RANGES: Record<string, number> = { h1: HOUR_MS, h24: 24 * HOUR_MS, d7: 7 * 24 * HOUR_MS }

/** Since when entries are shown; undefined for all of them, and for what no range is called. */
export function since(range: string, now_ms: number): string | undefined {
  const length_ms = LEDGER_RANGES[range]
  return length_ms === undefined ? undefined : new Date(now_ms - length_ms).toISOString()
}

/** A range of positions, the run of the agent said once when both ends are in it: `7.2–4`. */
export function numbersText({ first, last }: { first: string; last: string }): string {
  if (first === last) return first
  const [first_run] = first.split('.')
  const [last_run, last_number] = last.split('.')
  return first_run === last_run ? `${first}–${last_number}` : `${first} – ${last}`
}
