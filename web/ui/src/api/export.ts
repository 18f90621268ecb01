/** Lists and histories as files: at once, or made in the background. */
import type { Page } from './client'
import type { components } from './schema'
import { ApiError, ask, client, UNREACHABLE, unwrap } from './transport'

type Schemas = components['schemas']

export const FORMATS = ['csv', 'jsonl', 'parquet'] as const satisfies Schemas['ExportFormat'][]
export type ExportFormat = Schemas['ExportFormat']
export type Exported = Schemas['Exported']
export type ExportJob = Schemas['ExportJob']
/** The parameters of a list, or the body of a history's export. */
export type ExportQuery = Record<string, unknown>

export const listExports = (query: { page: number; page_size: number; all?: boolean }, signal?: AbortSignal): Promise<Page<ExportJob>> =>
  unwrap(client.GET('/api/v1/exports', { params: { query }, signal }))
export const createExport = (body: { what: Exported; format: ExportFormat; query: ExportQuery }): Promise<ExportJob> =>
  ask('post', '/api/v1/exports', { body })
/** Cancels what is not made yet, removes the file of what is. */
export const removeExport = (id: string): Promise<ExportJob> => unwrap(client.DELETE('/api/v1/exports/{id}', { params: { path: { id } } }))

/** Where the browser fetches the file of an export. */
export const exportFile = (id: string) => `/api/v1/exports/${id}/file`

/** Where the browser fetches a list as a file. */
export function listFile(what: Exclude<Exported, 'history'>, format: ExportFormat, query: ExportQuery): string {
  const parts = Object.entries(query).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, String(value)]]))
  return `/api/v1/${what}/export?${new URLSearchParams([['format', format], ...parts]).toString()}`
}

type BlobAsk = (method: 'post', path: string, init: object) => Promise<{ data?: Blob; error?: unknown; response: Response }>

/** A history as a file. Its question is too long for an address, so the page fetches it and hands it to the browser. */
export async function fetchHistoryFile(body: ExportQuery & { format: ExportFormat }): Promise<Blob> {
  const request = client.request as unknown as BlobAsk
  let answer: Awaited<ReturnType<BlobAsk>>
  try {
    answer = await request('post', '/api/v1/history/export', { body, parseAs: 'blob' })
  } catch (cause) {
    throw new ApiError(UNREACHABLE, 0, String(cause), null)
  }
  if (answer.data) return answer.data
  const { message, code, data } = (answer.error ?? {}) as { message?: string; code?: number; data?: { fields?: ApiError['fields'] } }
  const { status, statusText, headers } = answer.response
  throw new ApiError(code ?? status * 100, status, message ?? statusText, headers.get('X-Request-Id'), data?.fields ?? [])
}
