import { describe, expect, it } from 'vitest'
import { axisTop } from './axis'

describe('an axis', () => {
  it.each([
    [0.4, 'per-second', 0.6],
    [1, 'per-second', 1.5],
    [9.5, 'per-second', 15],
    [120, 'bytes/s', 192],
    [2 ** 30, 'bytes', 1.5 * 2 ** 30],
    [37, 'percent', 60],
    [98, 'percent', 100],
    [101, 'percent', 100],
    [130, 'percent', 150],
    [0.7, 'ms', 0.8],
  ] as const)('for values up to %d %s reaches %d', (greatest, unit, top) => {
    expect(axisTop(greatest, unit)).toBeCloseTo(top, 9)
  })

  it('leaves a tenth free and at most wastes half, whatever the size', () => {
    for (const unit of ['bytes', 'per-second'] as const) {
      for (let greatest = 2000; greatest < 1e12; greatest *= 1.037) {
        const share = greatest / axisTop(greatest, unit)
        expect(share).toBeLessThanOrEqual(1 / 1.1 + 1e-9)
        expect(share).toBeGreaterThan(0.5)
      }
    }
  })

  it('shows an idle thing as idle', () => {
    expect(axisTop(0, 'per-second')).toBe(0.1)
    expect(axisTop(0.02, 'percent')).toBe(1)
    expect(axisTop(null, 'bytes')).toBe(1024)
  })
})
