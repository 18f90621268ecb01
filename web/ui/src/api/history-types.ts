/** The shapes of what the server tells of the past. */

/** Shares of a VM's virtual processors' time, 0 to 1; null where it is not measured. */
export interface Shares {
  run: number | null
  ready: number | null
  io_wait: number | null
  halted: number | null
  idle: number | null
}

/** How a disk of a VM answered. */
export interface SlowDisk {
  name: string
  read_latency_s: number | null
  write_latency_s: number | null
  iops: number | null
}

/** A VM on the same host, without name where the viewer may not see it. */
export interface Neighbour {
  vm: { id: string; name: string } | null
  cpu_share: number
}

/** Why a VM is slow, or that it is not. */
export interface Slow {
  window: { from: string; to: string }
  shares: Shares
  disks: SlowDisk[]
  host: { cpu_busy: number | null; steal?: number | null; neighbours: Neighbour[] }
  verdict: { code: string; numbers: Record<string, number>; text: string }
}

/** What one thing is, as an answer about many names it. */
export interface Subject {
  /** `vm:UUID` or `host:UUID`. */
  id: string
  name: string
  host: { id: string; name: string }
  vm: { id: string; name: string } | null
}

export const FUNCTIONS = ['avg', 'min', 'max', 'last', 'p95', 'count'] as const
export type HistoryFunction = (typeof FUNCTIONS)[number]
export type TopBy = 'avg' | 'max' | 'last'

/** Which history is wanted, of whom. */
export interface HistoryRequest {
  kind: 'vm' | 'host'
  entities?: string[]
  group?: string
  metrics: string[]
  from: string
  to: string
  step?: number | 'auto' | 'raw'
  function?: HistoryFunction
  top?: { n: number; by: TopBy; metric: string }
  compare?: { shift_s: number }
}

export interface HistorySeries {
  entity: Subject
  metric: string
  unit: string
  values: (number | null)[]
  compared?: (number | null)[]
}

export interface HistoryGap {
  /** The VM or the host that lacks samples; a host's gap may concern its VMs too. */
  entity: string
  from: string
  to: string
  cause: string
  group: string
}

/** Histories of many on common times. */
export interface HistoryAnswer {
  kind: string
  from: string
  to: string
  /** Seconds a point; 0 when the points are the samples themselves. */
  step_s: number
  tiers: { tier: string; from: string; to: string }[]
  times: number[]
  series: HistorySeries[]
  gaps: HistoryGap[]
  /** Whether there are more gaps than are listed. */
  truncated: boolean
}

/** Whoever has most, or least, of a metric. */
export interface TopQuery {
  kind: 'vm' | 'host'
  metric: string
  n?: number
  /** Seconds that are looked back upon. */
  range?: number
  by?: TopBy
  direction?: 'asc' | 'desc'
}

export interface TopAnswer {
  metric: string
  unit: string
  from: string
  to: string
  items: { entity: Subject; value: number }[]
}
