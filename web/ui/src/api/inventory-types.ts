/** The shapes of what is inventoried: machines, labels, groups. */
import type { Group, Member } from './access-types'
import type { HostDetail, Vm, VmDetail } from './client'

/** Words that people give to things: `env` is `prod`. */
export type Labels = Record<string, string>

/** A VM as the lists have it. */
export interface Machine extends Omit<Vm, 'host'> {
  /** Null for one that was entered by hand without a host. */
  host: { id: string; name: string } | null
  labels: Labels
  /** Entered by hand: no agent reports it. */
  manual: boolean
  description: string
  /** Since when its host does not have it any more. */
  archived_at: string | null
}

/** A VM with its devices. */
export type MachineDetail = Machine & Pick<VmDetail, 'devices' | 'guest'>

/** A host with its labels. */
export type LabelledHost = HostDetail & { labels: Labels }

/** What limits and orders the list of VMs. */
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

/** How many there are of each kind, among those that a list would have. */
export interface MachineStatistics {
  total: number
  by_state: Record<string, number>
  hosts: { id: string; name: string; count: number }[]
  groups: { id: string; name: string; count: number }[]
  labels: { key: string; value: string; count: number }[]
}

/** A VM that is entered by hand. */
export interface NewMachine {
  name: string
  host?: string | null
  description?: string
  labels?: Labels
}

/** A change of many VMs at once. */
export interface BatchChange {
  labels: { set: Labels; remove: string[] }
  groups: { add: string[]; remove: string[] }
}

export interface BatchResult {
  vm: string
  /** `done`, `unchanged`, `unknown`, `denied` or `malformed`. */
  result: string
  permission: string | null
}

/** A group of VMs: those that were put into it, those that its rule finds, and all of the groups within it. */
export interface RuleGroup extends Group {
  rule: string | null
  children: { id: string; name: string }[]
}

export interface RuleGroupChange {
  name: string
  description: string
  /** Empty for none. */
  rule: string
  children: string[]
}

/** What a rule would find. */
export interface RulePreview {
  matching: number
  sample: { id: string; name: string }[]
}

/** A VM of a group, and what put it there. */
export interface RuleMember extends Omit<Member, 'host'> {
  host: { id: string; name: string } | null
  sources: ('direct' | 'rule' | 'nested')[]
}
