import { describe, expect, it } from 'vitest'
import { SHOWN, Trail, WALL_SPAN_MS } from './wall'

describe('SHOWN', () => {
  it('has the processor as a share of all of the virtual ones', () => {
    expect(SHOWN.cpu.of({ cpu_time_ns: 1 }, 4)).toBe(25)
    expect(SHOWN.cpu.of({ cpu_time_ns: 1 }, null)).toBeNull()
    expect(SHOWN.cpu.of({}, 4)).toBeNull()
  })

  it('adds what comes and goes', () => {
    expect(SHOWN.network.of({ net_rx_bytes: 3, net_tx_bytes: 4 }, null)).toBe(7)
    expect(SHOWN.disk.of({ disk_read_bytes: 3 }, null)).toBe(3)
    expect(SHOWN.disk.of({}, null)).toBeNull()
  })
})

describe('Trail', () => {
  it('tells the newest value while it is fresh', () => {
    const trail = new Trail()
    expect(trail.last(0)).toBeNull()
    trail.push(1000, 7)
    expect(trail.last(2000)).toBe(7)
    expect(trail.last(60_000)).toBeNull()
  })

  it('passes over what is not newer than the last', () => {
    const trail = new Trail()
    trail.push(2000, 1)
    trail.push(2000, 2)
    trail.push(1000, 3)
    expect(trail.line(0)).toEqual({ times: [2000], points: [1] })
  })

  it('breaks its line where samples are missing', () => {
    const trail = new Trail()
    trail.push(0, 1)
    trail.push(1000, 2)
    trail.push(31_000, 3)
    expect(trail.line(0)).toEqual({ times: [0, 1000, 16_000, 31_000], points: [1, 2, null, 3] })
  })

  it('takes what was before, and not what it has already', () => {
    const trail = new Trail()
    trail.push(5000, 5)
    trail.before([3000, 4000, 5000, 6000], [3, null, 50, 60])
    expect(trail.line(0)).toEqual({ times: [3000, 5000], points: [3, 5] })
  })

  it('forgets what is older than its span', () => {
    const trail = new Trail()
    for (let at = 0; at <= WALL_SPAN_MS + 200_000; at += 1000) trail.push(at, 1)
    expect(trail.line(0).times.length).toBeLessThan(WALL_SPAN_MS / 1000 + 70)
    expect(trail.line(WALL_SPAN_MS + 199_000).times).toHaveLength(2)
  })
})
