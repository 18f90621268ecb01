/** What the server tells of the past beyond single series. */
import type { HistoryAnswer, HistoryRequest, Slow, TopAnswer, TopQuery } from './history-types'
import { client, unwrap } from './transport'

export * from './history-types'

/** Histories of chosen things, of a group, or of whoever has most. */
export const queryHistory = (body: HistoryRequest, signal?: AbortSignal): Promise<HistoryAnswer> =>
  unwrap(client.POST('/api/v1/history/query', { body, signal }))

/** Whoever has most of a metric. */
export const getTop = (query: TopQuery, signal?: AbortSignal): Promise<TopAnswer> =>
  unwrap(client.GET('/api/v1/top', { params: { query }, signal }))

/** What held a VM up between two moments. */
export const getSlow = (id: string, query: { from: string; to: string }, signal?: AbortSignal): Promise<Slow> =>
  unwrap(client.GET('/api/v1/vms/{id}/slow', { params: { path: { id }, query }, signal }))
