import { describe, expect, it } from 'vitest'
import { HOST_CHARTS, hostBusy, metricsOf, VM_CHARTS, type ChartSpec } from './charts'
import { emptyTable, type Column, type Table } from './table'

const table = (columns: Record<string, Column>): Table => ({
  ...emptyTable(),
  times: (Object.values(columns)[0] ?? []).map((_, row) => row * 1000),
  columns,
})

function line(charts: ChartSpec[], chart: string, name: string, from: Table): Column {
  const found = charts.find((one) => one.name === chart)?.lines.find((one) => one.name === name)
  if (!found) throw new Error(`no line ${name} in ${chart}`)
  return found.values(from)
}

describe('a VM', () => {
  it('uses processors in percent of its own, though their number comes more rarely', () => {
    const from = table({ cpu_time_ns: [1, 2, 0.5], vcpu_current: [null, 2, null] })
    expect(line(VM_CHARTS, 'vm_cpu', 'used', from)).toEqual([50, 100, 25])
  })

  it('has its latency in milliseconds a request, and none without requests', () => {
    const from = table({ disk_read_ns: [0.02, 0, null], disk_read_requests: [10, 0, 5] })
    expect(line(VM_CHARTS, 'disk_latency', 'reads', from)).toEqual([2, null, null])
  })

  it('asks for every metric once', () => {
    const metrics = metricsOf('vm')
    expect(new Set(metrics).size).toBe(metrics.length)
    expect(metrics).toContain('vcpu_current')
    expect(metrics).toContain('disk_flush_ns')
  })
})

describe('a host', () => {
  const from = table({
    cpu_count: [4],
    cpu_user_ns: [2],
    cpu_nice_ns: [0],
    cpu_guest_ns: [1.5],
    cpu_system_ns: [0.4],
    cpu_irq_ns: [0.1],
    cpu_iowait_ns: [0.2],
    cpu_steal_ns: [0],
  })

  it('does not count its guests twice', () => {
    expect(line(HOST_CHARTS, 'host_cpu', 'guests', from)).toEqual([37.5])
    expect(line(HOST_CHARTS, 'host_cpu', 'user', from)).toEqual([12.5])
    expect(line(HOST_CHARTS, 'host_cpu', 'system', from)).toEqual([12.5])
  })

  it('is at work with everything but idling and waiting for disks', () => {
    expect(hostBusy(from)).toEqual([62.5])
  })

  it('shows its agent in percent of one core, whatever the host has', () => {
    expect(line(HOST_CHARTS, 'agent_cpu', 'used', table({ agent_cpu_ns: [0.02, null] }))).toEqual([2, null])
  })

  it('stays below the limit of points of one request', () => {
    expect(metricsOf('host').length * 600).toBeLessThanOrEqual(20_000)
    expect(metricsOf('vm').length * 600).toBeLessThanOrEqual(20_000)
  })
})
