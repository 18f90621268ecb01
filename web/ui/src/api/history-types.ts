/** The shapes of what the server tells of the past. */
import type { components, paths } from './schema'

type Schemas = components['schemas']

/** Why a VM is slow, or that it is not. */
export type Slow = Schemas['WhySlow']
export type Shares = Schemas['TimeShares']

/** What one thing is, as an answer about many names it. */
export type Subject = Schemas['HistoryEntity']

export const FUNCTIONS = ['avg', 'min', 'max', 'last', 'p95', 'count'] as const satisfies Schemas['HistoryFunction'][]
export type HistoryFunction = Schemas['HistoryFunction']
export type TopBy = Schemas['TopBy']

export type HistoryRequest = Schemas['HistoryQuery']
export type HistoryAnswer = Schemas['History']
export type HistorySeries = Schemas['HistorySeries']
export type HistoryGap = Schemas['HistoryGap']

export type TopQuery = paths['/api/v1/top']['get']['parameters']['query']
export type TopAnswer = Schemas['TopList']
