/** States of VMs: their order and how alarming they are. */

export type Tone = 'good' | 'warn' | 'bad' | 'idle' | 'silent'

/** How the API calls VMs without a fresh sample, in counts and as a filter. */
export const SILENT = 'silent'

/** Every state that libvirt knows, most interesting first, and silence. */
export const STATES = [
  'running',
  'blocked',
  'paused',
  'pmsuspended',
  'shutdown',
  'crashed',
  'shutoff',
  'nostate',
  SILENT,
] as const

const TONES: Record<string, Tone> = {
  running: 'good',
  blocked: 'warn',
  paused: 'warn',
  pmsuspended: 'warn',
  shutdown: 'warn',
  crashed: 'bad',
  silent: 'silent',
}

/** How a state is coloured and which sign it bears. */
export function stateTone(state: string | null): Tone {
  return (state && TONES[state]) || 'idle'
}

/** Counts by state in the order of {@link STATES}; states that only a newer server knows come last, empty ones not at all. */
export function ordered(by_state: Record<string, number>): [string, number][] {
  const rank = (state: string) => {
    const at = STATES.findIndex((one) => one === state)
    return at < 0 ? STATES.length : at
  }
  return Object.entries(by_state)
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => rank(a) - rank(b))
}
