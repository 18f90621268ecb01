/**
 * The one way to the server: typed by the OpenAPI document, unwraps the envelope, and turns every failure into an
 * {@link ApiError}.
 */
import createClient from 'openapi-fetch'
import type { components, paths } from './schema'

type Schemas = components['schemas']
export type Host = Schemas['Host']
export type HostDetail = Schemas['HostDetail']
export type Vm = Schemas['Vm']
export type VmDetail = Schemas['VmDetail']
export type Device = Schemas['Device']
export type Guest = Schemas['Guest']
export type Overview = Schemas['Overview']
export type MetricInfo = Schemas['MetricInfo']
export type Series = Schemas['Series']
export type Gap = Schemas['Gap']
export type GapPage = Schemas['GapPage']
export type Agent = Schemas['Agent']
export type System = Schemas['System']
export type Collector = Schemas['Collector']
export type Activity = Schemas['Activity']
export type HostQuery = NonNullable<paths['/api/v1/hosts']['get']['parameters']['query']>
export type VmQuery = NonNullable<paths['/api/v1/vms']['get']['parameters']['query']>
export type GapQuery = NonNullable<paths['/api/v1/gaps']['get']['parameters']['query']>
export type AgentQuery = NonNullable<paths['/api/v1/agents']['get']['parameters']['query']>
export type SeriesQuery = paths['/api/v1/series']['get']['parameters']['query']

/** One page of a list. */
export interface Page<T> {
  items: T[]
  page: number
  page_size: number
  total: number
}

/** Code of an {@link ApiError} when the server could not be reached at all. */
export const UNREACHABLE = -1

/** A refused or failed request. */
export class ApiError extends Error {
  override readonly name = 'ApiError'

  constructor(
    /** Application code of the envelope, or {@link UNREACHABLE}. */
    readonly code: number,
    /** HTTP status; 0 when there was no answer. */
    readonly status: number,
    message: string,
    /** Finds the request in the server's log. */
    readonly request_id: string | null,
  ) {
    super(message)
  }

  /** Whether the thing asked for does not exist. */
  get missing(): boolean {
    return this.status === 404
  }
}

let language = 'en'
let clock_offset_ms = 0

/** Asks for messages and help texts in this language from now on. */
export function setApiLanguage(tag: string): void {
  language = tag
}

/** The time of the server, as far as its answers tell: what `from` and `to` are reckoned from. */
export function serverNow(): number {
  return Date.now() + clock_offset_ms
}

function learnClock(response: Response): void {
  const sent = Date.parse(response.headers.get('Date') ?? '')
  // The header has whole seconds: smaller differences mean nothing.
  if (Number.isFinite(sent)) clock_offset_ms = Math.abs(sent - Date.now()) > 2000 ? sent - Date.now() : 0
}

const client = createClient<paths>({ baseUrl: '' })
client.use({
  onRequest({ request }) {
    request.headers.set('Accept-Language', language)
    return request
  },
  onResponse({ response }) {
    learnClock(response)
  },
})

interface Answer<T> {
  data?: { data: T }
  error?: unknown
  response: Response
}

function refusal(answer: { error?: unknown; response: Response }): ApiError {
  const { error, response } = answer
  const body = typeof error === 'object' && error !== null ? (error as { code?: unknown; message?: unknown }) : {}
  return new ApiError(
    typeof body.code === 'number' ? body.code : response.status * 100,
    response.status,
    typeof body.message === 'string' ? body.message : response.statusText,
    response.headers.get('X-Request-Id'),
  )
}

async function unwrap<T>(request: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>
  try {
    answer = await request
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new ApiError(UNREACHABLE, 0, cause instanceof Error ? cause.message : String(cause), null)
  }
  if (!answer.data) throw refusal(answer)
  return answer.data.data
}

/** Counts of hosts and VMs. */
export const getOverview = (signal?: AbortSignal): Promise<Overview> =>
  unwrap(client.GET('/api/v1/overview', { signal }))

/** Hosts, a page at a time. */
export const listHosts = (query: HostQuery, signal?: AbortSignal): Promise<Page<Host>> =>
  unwrap(client.GET('/api/v1/hosts', { params: { query }, signal }))

/** One host with its devices. */
export const getHost = (id: string, signal?: AbortSignal): Promise<HostDetail> =>
  unwrap(client.GET('/api/v1/hosts/{id}', { params: { path: { id } }, signal }))

/** VMs, a page at a time. */
export const listVms = (query: VmQuery, signal?: AbortSignal): Promise<Page<Vm>> =>
  unwrap(client.GET('/api/v1/vms', { params: { query }, signal }))

/** One VM with its devices. */
export const getVm = (id: string, signal?: AbortSignal): Promise<VmDetail> =>
  unwrap(client.GET('/api/v1/vms/{id}', { params: { path: { id } }, signal }))

/** The metric catalogue, with its help in the language set. */
export const listMetrics = (signal?: AbortSignal): Promise<{ items: MetricInfo[] }> =>
  unwrap(client.GET('/api/v1/metrics', { signal }))

/** History of one entity. */
export const getSeries = (query: SeriesQuery, signal?: AbortSignal): Promise<Series> =>
  unwrap(client.GET('/api/v1/series', { params: { query }, signal }))

/** The loss ledger, a page at a time, with its totals by cause. */
export const listGaps = (query: GapQuery, signal?: AbortSignal): Promise<GapPage> =>
  unwrap(client.GET('/api/v1/gaps', { params: { query }, signal }))

/** How the installation is. */
export const getSystem = (signal?: AbortSignal): Promise<System> => unwrap(client.GET('/api/v1/system', { signal }))

/** Agents, a page at a time. */
export const listAgents = (query: AgentQuery, signal?: AbortSignal): Promise<Page<Agent>> =>
  unwrap(client.GET('/api/v1/agents', { params: { query }, signal }))
