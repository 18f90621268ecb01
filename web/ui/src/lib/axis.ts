/** How far a value axis reaches: chosen from the data, in numbers that change rarely and read well. */
import type { Unit } from './format'

/** Free space above the greatest value. */
const HEAD_ROOM = 1.1
/** Shares up to this, in percent, are all of something: samplers and kernels round. */
const ALL_OF_IT = 105
/** Only tops at which a tick stands: three or four of the steps that uPlot chooses for a chart of our height. */
const NICE_DECIMAL = [1, 1.5, 2, 3, 4, 6, 8, 10]
const NICE_BINARY = [1, 1.5, 2]
/** The axis reaches at least this far: below it there is only noise, and an idle thing should look idle. */
const LEAST: Record<Unit, number> = {
  bytes: 1024,
  'bytes/s': 64,
  percent: 1,
  'per-second': 0.1,
  ms: 0.01,
  s: 1,
  count: 0.1,
}

/** Distances between two ticks for bytes: powers of two. */
export const BINARY_STEPS = Array.from({ length: 60 }, (_, power) => 2 ** power)

/** The top of an axis for values up to `greatest`, which is null where nothing was measured. */
export function axisTop(greatest: number | null, unit: Unit): number {
  const wanted = (greatest ?? 0) * HEAD_ROOM
  if (!(wanted > LEAST[unit])) return LEAST[unit]
  const top = unit.startsWith('bytes') ? niceAbove(wanted, NICE_BINARY, 2) : niceAbove(wanted, NICE_DECIMAL, 10)
  return unit === 'percent' && (greatest ?? 0) <= ALL_OF_IT ? Math.min(100, top) : top
}

function niceAbove(wanted: number, nice: number[], base: number): number {
  const power = base ** Math.floor(Math.log(wanted) / Math.log(base))
  // A logarithm may round down past a power that the value reaches: the first number of the next power is enough then.
  return (nice.find((one) => one * power >= wanted) ?? base) * power
}
