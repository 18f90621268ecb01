/** Machines, their labels, and what is done with many of them at once. */
import type { HostDetail, Page } from './client'
import type {
  BatchChange,
  BatchResult,
  Labels,
  Machine,
  MachineChange,
  MachineDetail,
  MachineQuery,
  MachineStatistics,
  NewMachine,
  RuleGroup,
  RuleGroupChange,
  RuleMember,
  RulePreview,
} from './inventory-types'
import { ask, client, unwrap } from './transport'

export type * from './inventory-types'

// Filters come out of an address and go into one: they stay the text that they are.
export const listMachines = (query: MachineQuery & { page: number; page_size: number }, signal?: AbortSignal): Promise<Page<Machine>> =>
  ask('get', '/api/v1/vms', { params: { query: { ...query } }, signal })
export const countMachines = (query: MachineQuery, signal?: AbortSignal): Promise<MachineStatistics> =>
  ask('get', '/api/v1/vms/statistics', { params: { query: { ...query } }, signal })

export const getMachine = (id: string, signal?: AbortSignal): Promise<MachineDetail> =>
  unwrap(client.GET('/api/v1/vms/{id}', { params: { path: { id } }, signal }))
export const createMachine = (body: NewMachine): Promise<Machine> =>
  unwrap(client.POST('/api/v1/vms', { body }))
export const changeMachine = (id: string, body: MachineChange): Promise<Machine> =>
  unwrap(client.PATCH('/api/v1/vms/{id}', { params: { path: { id } }, body }))
export const deleteMachine = (id: string): Promise<unknown> =>
  unwrap(client.DELETE('/api/v1/vms/{id}', { params: { path: { id } } }))
export const setVmLabels = (id: string, labels: Labels): Promise<unknown> =>
  unwrap(client.PUT('/api/v1/vms/{id}/labels', { params: { path: { id } }, body: { labels } }))
export const setHostLabels = (id: string, labels: Labels): Promise<unknown> =>
  unwrap(client.PUT('/api/v1/hosts/{id}/labels', { params: { path: { id } }, body: { labels } }))
export const changeMachines = (ids: string[], change: BatchChange): Promise<{ items: BatchResult[] }> =>
  unwrap(client.POST('/api/v1/vms/batch', { body: { ids, ...change } }))
export const getLabelledHost = (id: string, signal?: AbortSignal): Promise<HostDetail> =>
  unwrap(client.GET('/api/v1/hosts/{id}', { params: { path: { id } }, signal }))

export const listRuleGroups = (query: { page: number; page_size?: number; q?: string }, signal?: AbortSignal): Promise<Page<RuleGroup>> =>
  unwrap(client.GET('/api/v1/groups', { params: { query }, signal }))
export const getRuleGroup = (id: string, signal?: AbortSignal): Promise<RuleGroup> =>
  unwrap(client.GET('/api/v1/groups/{id}', { params: { path: { id } }, signal }))
export const createRuleGroup = (body: RuleGroupChange): Promise<RuleGroup> =>
  unwrap(client.POST('/api/v1/groups', { body }))
export const changeRuleGroup = (id: string, body: RuleGroupChange): Promise<RuleGroup> =>
  unwrap(client.PATCH('/api/v1/groups/{id}', { params: { path: { id } }, body }))
export const listRuleMembers = (id: string, query: { page: number; page_size: number }, signal?: AbortSignal): Promise<Page<RuleMember>> =>
  unwrap(client.GET('/api/v1/groups/{id}/members', { params: { path: { id }, query }, signal }))
export const previewRule = (rule: string, signal?: AbortSignal): Promise<RulePreview> =>
  unwrap(client.POST('/api/v1/groups/preview', { body: { rule }, signal }))
