/** How the parts of "why slow" are shown: order, colour, tone. */
import type { Shares } from '@/api/history-types'
import type { Fixed } from './range'
import type { Tone } from './state'

/** A part of the bar that shows where the time of the virtual processors went. */
export interface Part {
  name: keyof Shares
  share: number
  /** Colour token. */
  colour: string
}

const COLOURS: [keyof Shares, string][] = [
  ['run', '--series-1'],
  ['ready', '--series-2'],
  ['io_wait', '--series-4'],
  ['halted', '--line-strong'],
  ['idle', '--line'],
]

/** The parts that were measured. */
export function parts(shares: Shares): Part[] {
  return COLOURS.flatMap(([name, colour]) => {
    const share = shares[name]
    return share == null ? [] : [{ name, share: Math.max(0, share), colour }]
  })
}

const TONES: Record<string, Tone> = { nothing: 'good', idle: 'good', not_running: 'idle', no_data: 'idle' }

/** No longer span can be looked into, in ms. */
const LONGEST_MS = 31 * 86_400_000

/** The end of a span as far as it can be looked into. */
export function lookedInto({ from_ms, to_ms }: Fixed): Fixed {
  return { from_ms: Math.max(from_ms, to_ms - LONGEST_MS), to_ms }
}

/** How alarming a verdict is: all that is not known as harmless names something that holds the VM up. */
export function verdictTone(code: string): Tone {
  return TONES[code] ?? 'warn'
}
