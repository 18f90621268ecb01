/** Machines, their labels, and what is done with many of them at once. */
import type { Page } from './client'
import type { BatchChange, BatchResult, Labels, Machine, MachineDetail, MachineQuery, MachineStatistics, NewMachine } from './inventory-types'
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
export const setLabels = (kind: 'vm' | 'host', id: string, labels: Labels): Promise<unknown> =>
  ask('put', kind === 'vm' ? '/api/v1/vms/{id}/labels' : '/api/v1/hosts/{id}/labels', { params: { path: { id } }, body: { labels } })
export const changeMachines = (ids: string[], change: BatchChange): Promise<{ items: BatchResult[] }> =>
  ask('post', '/api/v1/vms/batch', { body: { ids, ...change } })
