/** The shapes of what the server tells of the past. */
import type { components, paths } from './schema'

type Schemas = components['schemas']

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
  iops: number | null
}

/** Why a VM is slow, or that it is not. */
export interface Slow {
  window: { from: string; to: string }
  shares: Shares
  disks: SlowDisk[]
  memory: { host_faults_per_s: number | null; guest_swap_bytes_per_s: number | null }
  /** Null when the viewer may not see it. */
  host: { cpu_busy: number | null; steal: number | null; neighbours: Neighbour[] } | null
  verdict: { code: string; numbers: Record<string, number>; text: string }
}

/** What one thing is, as an answer about many names it. */
export type Subject = Schemas['HistoryEntity']

export const FUNCTIONS = ['avg', 'min', 'max', 'last', 'p95', 'count'] as const satisfies Schemas['HistoryFunction'][]
export type HistoryFunction = Schemas['HistoryFunction']
export type TopBy = Schemas['TopBy']

export type HistoryRequest = Schemas['HistoryQuery']
export type HistoryAnswer = Schemas['History']
export type HistorySeries = Schemas['HistorySeries']
export type HistoryGap = Schemas['HistoryGap']

export type TopQuery = paths['/api/v1/top']['get']['parameters']['query']
export type TopAnswer = Schemas['TopList']
