/** The shapes of what is inventoried: machines, labels, groups. Names for what the OpenAPI document says. */
import type { components } from './schema'

type Schemas = components['schemas']

export type Labels = Schemas['Vm']['labels']
/** A VM as the lists have it. */
export type Machine = Schemas['Vm']
/** A VM with its devices. */
export type MachineDetail = Schemas['VmDetail']
export type MachineStatistics = Schemas['VmStatistics']
export type NewMachine = Schemas['NewVm']
export type MachineChange = Schemas['VmChange']
export type BatchChange = Omit<Schemas['VmBatch'], 'ids'>
export type BatchResult = Schemas['VmBatchResult']
export type RuleGroup = Schemas['VmGroup']
export type RuleGroupChange = Schemas['GroupDefinition']
export type RulePreview = Schemas['RulePreview']
export type RuleMember = Schemas['Member']

/** What limits and orders the list of VMs, as an address has it: all of it text. */
export interface MachineQuery {
  q?: string
  sort?: string
  state?: string
  host?: string
  group?: string
  label?: string
  vcpus_min?: string
  vcpus_max?: string
  memory_min_bytes?: string
  memory_max_bytes?: string
  manual?: string
  reporting?: string
  archived?: string
}
