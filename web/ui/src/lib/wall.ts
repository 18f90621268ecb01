/** What a tile of the live wall shows, out of the last values of its machine. */
import type { Unit } from './format'
import type { Point } from './lines'

export const WALL_METRICS = ['cpu', 'memory', 'disk', 'network'] as const
export type WallMetric = (typeof WALL_METRICS)[number]
export const WALL_ORDERS = ['name', 'value'] as const
export type WallOrder = (typeof WALL_ORDERS)[number]
export const WALL_SIZES = ['small', 'middle', 'large'] as const
export type WallSize = (typeof WALL_SIZES)[number]
export const WALL_OF = ['all', 'group', 'picked'] as const
export type WallOf = (typeof WALL_OF)[number]

/** More tiles can neither be seen at once nor be told apart. */
export const MOST_TILES = 200
/** How far the line of a tile reaches back, in ms. */
export const WALL_SPAN_MS = 300_000
/** A line breaks where samples are further apart, in ms. */
const HOLE_MS = 20_000
/** A value older than this is none any more, in ms. */
const FRESH_MS = 15_000

export type Values = Record<string, number>

interface Shown {
  /** The metrics of the feed that it is made of. */
  needs: string[]
  unit: Unit
  /** Null when they do not say. */
  of: (values: Values, vcpus: number | null) => number | null
}

const sum = (values: Values, names: string[]): number | null => {
  const parts = names.flatMap((name) => (values[name] === undefined ? [] : [values[name]]))
  return parts.length === 0 ? null : parts.reduce((all, one) => all + one, 0)
}
const total = (needs: string[], unit: Unit): Shown => ({ needs, unit, of: (values) => sum(values, needs) })

export const SHOWN: Record<WallMetric, Shown> = {
  cpu: {
    needs: ['cpu_time_ns'],
    unit: 'percent',
    of: (values, vcpus) => (values.cpu_time_ns === undefined || !vcpus ? null : (100 * values.cpu_time_ns) / vcpus),
  },
  memory: total(['memory_used_bytes'], 'bytes'),
  disk: total(['disk_read_bytes', 'disk_write_bytes'], 'bytes/s'),
  network: total(['net_rx_bytes', 'net_tx_bytes'], 'bytes/s'),
}

/** The last minutes of one value, in order. */
export class Trail {
  private readonly times: number[] = []
  private readonly values: number[] = []

  /** A sample; one that is not newer than the last is none. */
  push(time_ms: number, value: number): void {
    if (time_ms <= (this.times.at(-1) ?? -Infinity)) return
    this.times.push(time_ms)
    this.values.push(value)
    const old = this.times.findIndex((time) => time >= time_ms - WALL_SPAN_MS)
    // Seldom and many at once: each removal moves all that is left.
    if (old > 60) {
      this.times.splice(0, old)
      this.values.splice(0, old)
    }
  }

  /** Puts what was before under what is there. */
  before(times: readonly number[], values: readonly (number | null)[]): void {
    const end = this.times[0] ?? Infinity
    const rows = times.flatMap((time, row) => (time < end && values[row] != null ? [row] : []))
    this.times.unshift(...rows.map((row) => times[row] ?? 0))
    this.values.unshift(...rows.map((row) => values[row] ?? 0))
  }

  /** The newest value; null when it is too old to be called the present one. */
  last(now_ms: number): number | null {
    const fresh = now_ms - (this.times.at(-1) ?? -Infinity) <= FRESH_MS
    return fresh ? (this.values.at(-1) ?? null) : null
  }

  /** Times and points since `from_ms`, broken where samples are missing. */
  line(from_ms: number): { times: number[]; points: Point[] } {
    const times: number[] = []
    const points: Point[] = []
    this.times.forEach((time, row) => {
      if (time < from_ms) return
      const last = times.at(-1)
      if (last !== undefined && time - last > HOLE_MS) {
        times.push((last + time) / 2)
        points.push(null)
      }
      times.push(time)
      points.push(this.values[row] ?? null)
    })
    return { times, points }
  }
}
