/** Machines, their labels, and what is done with many of them at once. */
import type { Page } from './client'
import type {
  BatchChange,
  BatchResult,
  LabelledHost,
  Labels,
  Machine,
  MachineDetail,
  MachineQuery,
  MachineStatistics,
  NewMachine,
  RuleGroup,
  RuleGroupChange,
  RuleMember,
  RulePreview,
} from './inventory-types'
import { ask } from './transport'

export type * from './inventory-types'

export const listMachines = (query: MachineQuery & { page: number; page_size: number }, signal?: AbortSignal): Promise<Page<Machine>> =>
  ask('get', '/api/v1/vms', { params: { query: { ...query } }, signal })
export const getMachine = (id: string, signal?: AbortSignal): Promise<MachineDetail> =>
  ask('get', '/api/v1/vms/{id}', { params: { path: { id } }, signal })
export const countMachines = (query: MachineQuery, signal?: AbortSignal): Promise<MachineStatistics> =>
  ask('get', '/api/v1/vms/statistics', { params: { query: { ...query } }, signal })
export const createMachine = (body: NewMachine): Promise<Machine> => ask('post', '/api/v1/vms', { body })
export const changeMachine = (id: string, body: Partial<NewMachine>): Promise<Machine> =>
  ask('patch', '/api/v1/vms/{id}', { params: { path: { id } }, body })
export const deleteMachine = (id: string): Promise<unknown> => ask('delete', '/api/v1/vms/{id}', { params: { path: { id } } })
export const getLabelledHost = (id: string, signal?: AbortSignal): Promise<LabelledHost> =>
  ask('get', '/api/v1/hosts/{id}', { params: { path: { id } }, signal })
export const setLabels = (kind: 'vm' | 'host', id: string, labels: Labels): Promise<unknown> =>
  ask('put', kind === 'vm' ? '/api/v1/vms/{id}/labels' : '/api/v1/hosts/{id}/labels', { params: { path: { id } }, body: { labels } })
export const changeMachines = (ids: string[], change: BatchChange): Promise<{ items: BatchResult[] }> =>
  ask('post', '/api/v1/vms/batch', { body: { ids, ...change } })

export const listRuleGroups = (query: { page: number; page_size?: number; q?: string }, signal?: AbortSignal): Promise<Page<RuleGroup>> =>
  ask('get', '/api/v1/groups', { params: { query }, signal })
export const getRuleGroup = (id: string, signal?: AbortSignal): Promise<RuleGroup> =>
  ask('get', '/api/v1/groups/{id}', { params: { path: { id } }, signal })
export const createRuleGroup = (body: RuleGroupChange): Promise<RuleGroup> => ask('post', '/api/v1/groups', { body })
export const changeRuleGroup = (id: string, body: RuleGroupChange): Promise<RuleGroup> =>
  ask('patch', '/api/v1/groups/{id}', { params: { path: { id } }, body })
export const listRuleMembers = (id: string, query: { page: number; page_size: number }, signal?: AbortSignal): Promise<Page<RuleMember>> =>
  ask('get', '/api/v1/groups/{id}/members', { params: { path: { id }, query }, signal })
export const previewRule = (rule: string, signal?: AbortSignal): Promise<RulePreview> =>
  ask('post', '/api/v1/groups/preview', { body: { rule }, signal })
