/** The question of the history explorer: as an address names it, and as the server is asked it. */
import { FUNCTIONS, type HistoryFunction, type HistoryRequest, type TopBy } from '@/api/history-types'
import { COMPARISONS, parseComparison, type Comparison } from './compare'
import { parseFixed, RANGES, type Range, type Span } from './range'

export const SUBJECTS = ['top', 'group', 'picked'] as const
/** Whose history: of whoever has most, of a group, or of those that were picked. */
export type Subjects = (typeof SUBJECTS)[number]

export const STEPS = ['auto', 'raw', '60', '300', '3600', '86400'] as const
export type Step = (typeof STEPS)[number]

export const RANKINGS: readonly TopBy[] = ['avg', 'max', 'last']
export const COUNTS = [3, 5, 10, 20] as const
/** The explorer has no live range: that is what the pages of single things are for. */
export const EXPLORER_RANGES = RANGES.filter((range) => range !== 'live')

export interface Question {
  kind: 'vm' | 'host'
  of: Subjects
  /** UUIDs of those that were picked. */
  picked: string[]
  group: string
  /** How many at most, of a group or of all. */
  n: number
  by: TopBy
  metrics: string[]
  span: Span
  step: Step
  function: HistoryFunction
  comparison: Comparison | null
}

export type Address = Record<string, unknown>

const FIRST_RANGE: Range = 'h24'
const FIRST_METRIC = { vm: 'cpu_time_ns', host: 'load_1m' } as const
const FIRST_COUNT = 5
const MOST_METRICS = 6
const MOST_PICKED = 50

const words = (text: unknown) => (typeof text === 'string' ? [...new Set(text.split(',').filter(Boolean))] : [])
const oneOf = <T extends string>(all: readonly T[], text: unknown, otherwise: T): T => all.find((one) => one === text) ?? otherwise

/** The question that an address asks; what it leaves open is the first of each choice. */
export function parseQuestion(address: Address): Question {
  const kind = oneOf(['vm', 'host'], address.kind, 'vm')
  const picked = words(address.of).slice(0, MOST_PICKED)
  const group = typeof address.group === 'string' ? address.group : ''
  const metrics = words(address.metrics).slice(0, MOST_METRICS)
  return {
    kind,
    of: oneOf(SUBJECTS, address.by, picked.length > 0 ? 'picked' : group ? 'group' : 'top'),
    picked,
    group,
    n: COUNTS.find((one) => String(one) === address.n) ?? FIRST_COUNT,
    by: oneOf(RANKINGS, address.rank, 'avg'),
    metrics: metrics.length > 0 ? metrics : [FIRST_METRIC[kind]],
    span: parseFixed(address.span) ?? oneOf(EXPLORER_RANGES, address.range, FIRST_RANGE),
    step: oneOf(STEPS, address.step, 'auto'),
    function: oneOf(FUNCTIONS, address.function, 'avg'),
    comparison: parseComparison(address.compare),
  }
}

/** Whether the question says of whom: a group or something picked may still be missing. */
export function isComplete(question: Question): boolean {
  if (question.of === 'picked') return question.picked.length > 0
  return question.of !== 'group' || question.group !== ''
}

/** What the server is asked. */
export function requestOf(question: Question, from_ms: number, to_ms: number): HistoryRequest {
  const { kind, of, metrics, step, comparison } = question
  const request: HistoryRequest = {
    kind,
    metrics,
    from: new Date(from_ms).toISOString(),
    to: new Date(to_ms).toISOString(),
    step: step === 'auto' || step === 'raw' ? step : Number(step),
    function: question.function,
  }
  if (of === 'picked') request.entities = question.picked.map((id) => `${kind}:${id}`)
  else request.top = { n: question.n, by: question.by, metric: metrics[0] ?? FIRST_METRIC[kind] }
  if (of === 'group') request.group = question.group
  if (comparison) request.compare = { shift_s: COMPARISONS[comparison] / 1000 }
  return request
}

/** A part of the window that shows `from_ms` to `to_ms`, `factor` times as long, around the place `at` (0 left, 1 right). */
export function zoomed(from_ms: number, to_ms: number, factor: number, at: number): { from_ms: number; to_ms: number } {
  const length = to_ms - from_ms
  const pivot = from_ms + length * at
  return { from_ms: pivot - length * factor * at, to_ms: pivot + length * factor * (1 - at) }
}
