/** What the server tells of the past beyond single series. */
import { ask } from './transport'

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

/** What held a VM up between two moments. */
export const getSlow = (id: string, query: { from: string; to: string }, signal?: AbortSignal): Promise<Slow> =>
  ask('get', '/api/v1/vms/{id}/slow', { params: { path: { id }, query }, signal })
