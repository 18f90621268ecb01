/** How values of any metric of the catalogue are shown. */
import type { Unit } from './format'

/** How values in a unit of the API are shown: multiplied, in a unit of the page. */
export interface Shown {
  unit: Unit
  factor: number
}

const SHOWN: Record<string, Shown> = {
  bytes: { unit: 'bytes', factor: 1 },
  'bytes/s': { unit: 'bytes/s', factor: 1 },
  '1': { unit: 'count', factor: 1 },
  '1/s': { unit: 'per-second', factor: 1 },
  s: { unit: 's', factor: 1 },
  // Of one core, or of the time that passed: 100 % is a second each second.
  's/s': { unit: 'percent', factor: 100 },
}

/** How values of this unit of the API are shown; `count` counts samples, whatever they measure. */
export function shownAs(api_unit: string, counts = false): Shown {
  return counts ? { unit: 'count', factor: 1 } : (SHOWN[api_unit] ?? { unit: 'count', factor: 1 })
}

const PARTS: [string, RegExp][] = [
  ['processor', /^(cpu|vcpu|load|procs|process_guest)/],
  ['memory', /^(memory|swap|process_m)/],
  ['disk', /^(disk|fs)/],
  ['network', /^net/],
  ['agent', /^agent/],
]
export const METRIC_PARTS = ['processor', 'memory', 'disk', 'network', 'agent', 'other'] as const

/** Which part of the machine a metric tells of. */
export function partOf(metric: string): (typeof METRIC_PARTS)[number] {
  const found = PARTS.find(([, pattern]) => pattern.test(metric))?.[0]
  return METRIC_PARTS.find((part) => part === found) ?? 'other'
}
