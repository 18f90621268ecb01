/** What the server knows of hosts, VMs, samples and itself. */
import type { components, paths } from './schema'
import { client, unwrap } from './transport'

export { ApiError, serverNow, setApiLanguage, UNREACHABLE } from './transport'

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
