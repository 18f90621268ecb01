import { expect, it } from 'vitest'
import { sparkPath } from './sparkline'

const box = { width: 100, height: 10, from_ms: 0, to_ms: 100, top: 10 }

it('lifts the pen at null and passes over undefined', () => {
  expect(sparkPath([0, 10, 20, 30, 40], [0, undefined, 10, null, 5], box)).toBe('M0.0 10.0L20.0 0.0M40.0 5.0')
})

it('stays below its upper edge', () => {
  expect(sparkPath([0], [99], box)).toBe('M0.0 0.0')
})
