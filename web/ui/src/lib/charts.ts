/** What each chart of a VM or a host shows: which metrics it needs and how its lines come from them. Data, not drawing. */
import { AGENT_CHARTS } from './agent-charts'
import type { Unit } from './format'
import { carry, column, combine, type Column, type Table } from './table'

/** One line of a chart. */
export interface LineSpec {
  /** Key of its name in the language files, below `line.`. */
  name: string
  /** Colour, 1 to 6, of the series palette. */
  colour: number
  /** Dashed lines are limits and sizes, not measurements. */
  dashed?: boolean
  filled?: boolean
  /** Metrics that are measured for the line, all by the same part of sampling: their help explains it. */
  metrics: string[]
  values: (table: Table) => Column
}

/** One chart. */
export interface ChartSpec {
  /** Key of its title in the language files, below `chart.`. */
  name: string
  unit: Unit
  stacked?: boolean
  lines: LineSpec[]
}

const percentOf = (cores: number, of: number) => (of > 0 ? (100 * cores) / of : null)
const positive = (one: number) => Math.max(0, one)

type Extra = Pick<LineSpec, 'dashed' | 'filled'>

function line(name: string, colour: number, metric: string, extra: Extra = {}): LineSpec {
  return { name, colour, metrics: [metric], values: (table) => column(table, metric), ...extra }
}

/** Milliseconds a request took: time spent per second over requests per second. Without requests there is no latency. */
function latency(name: string, colour: number, time: string, requests: string): LineSpec {
  return {
    name,
    colour,
    metrics: [time, requests],
    values: (table) =>
      combine([column(table, time), column(table, requests)], (spent, served) =>
        served > 0 ? (1000 * spent) / served : null,
      ),
  }
}

function vmShare(name: string, colour: number, metric: string, extra: Extra = {}): LineSpec {
  return {
    name,
    colour,
    metrics: [metric],
    values: (table) => combine([column(table, metric), carry(column(table, 'vcpu_current'))], percentOf),
    ...extra,
  }
}

function disk(): ChartSpec[] {
  return [
    {
      name: 'disk_iops',
      unit: 'per-second',
      lines: [line('reads', 1, 'disk_read_requests'), line('writes', 2, 'disk_write_requests')],
    },
    {
      name: 'disk_bytes',
      unit: 'bytes/s',
      lines: [
        line('read', 1, 'disk_read_bytes', { filled: true }),
        line('written', 2, 'disk_write_bytes', { filled: true }),
      ],
    },
    {
      name: 'disk_latency',
      unit: 'ms',
      lines: [
        latency('reads', 1, 'disk_read_ns', 'disk_read_requests'),
        latency('writes', 2, 'disk_write_ns', 'disk_write_requests'),
      ],
    },
  ]
}

function network(): ChartSpec[] {
  return [
    {
      name: 'net_bytes',
      unit: 'bytes/s',
      lines: [
        line('received', 1, 'net_rx_bytes', { filled: true }),
        line('sent', 2, 'net_tx_bytes', { filled: true }),
      ],
    },
    {
      name: 'net_packets',
      unit: 'per-second',
      lines: [line('received', 1, 'net_rx_packets'), line('sent', 2, 'net_tx_packets')],
    },
    {
      name: 'net_faults',
      unit: 'per-second',
      lines: [
        line('rx_errors', 1, 'net_rx_errors'),
        line('tx_errors', 2, 'net_tx_errors'),
        line('rx_drops', 3, 'net_rx_drops'),
        line('tx_drops', 4, 'net_tx_drops'),
      ],
    },
  ]
}

function vmDisk(): ChartSpec[] {
  const charts = disk()
  charts[0]?.lines.push(line('flushes', 3, 'disk_flush_requests'))
  charts[2]?.lines.push(latency('flushes', 3, 'disk_flush_ns', 'disk_flush_requests'))
  return charts
}

/** The charts of a VM's page. */
export const VM_CHARTS: ChartSpec[] = [
  {
    name: 'vm_cpu',
    unit: 'percent',
    lines: [
      vmShare('used', 1, 'cpu_time_ns', { filled: true }),
      vmShare('steal', 2, 'vcpu_delay_ns'),
    ],
  },
  {
    name: 'vm_memory',
    unit: 'bytes',
    lines: [
      line('used', 1, 'memory_used_bytes', { filled: true }),
      line('maximum', 4, 'memory_maximum_bytes', { dashed: true }),
    ],
  },
  ...vmDisk(),
  ...network(),
]

/** Part of the host's processor time, in percent of all its cores. */
function hostShare(name: string, colour: number, metrics: string[], parts = metrics): LineSpec {
  return {
    name,
    colour,
    metrics,
    filled: true,
    values: (table) =>
      combine([carry(column(table, 'cpu_count')), ...parts.map((metric) => column(table, metric))], (cores, ...spent) =>
        percentOf(
          spent.reduce((sum, one) => sum + one, 0),
          cores,
        ),
      ),
  }
}

/** User time without the guests, which Linux counts into it. */
const hostUser: LineSpec = {
  ...hostShare('user', 3, ['cpu_user_ns', 'cpu_nice_ns']),
  values: (table) =>
    combine(
      ['cpu_count', 'cpu_user_ns', 'cpu_nice_ns', 'cpu_guest_ns'].map((metric) =>
        metric === 'cpu_count' ? carry(column(table, metric)) : column(table, metric),
      ),
      (cores = 0, user = 0, nice = 0, guest = 0) => percentOf(positive(user + nice - guest), cores),
    ),
}

/** The charts of a host's page. */
export const HOST_CHARTS: ChartSpec[] = [
  {
    name: 'host_cpu',
    unit: 'percent',
    stacked: true,
    lines: [
      hostShare('guests', 1, ['cpu_guest_ns']),
      hostUser,
      hostShare('system', 5, ['cpu_system_ns', 'cpu_irq_ns']),
      hostShare('iowait', 4, ['cpu_iowait_ns']),
      hostShare('steal', 2, ['cpu_steal_ns']),
    ],
  },
  {
    name: 'host_memory',
    unit: 'bytes',
    lines: [
      {
        name: 'used',
        colour: 1,
        filled: true,
        metrics: ['memory_available_bytes'],
        values: (table) =>
          combine(
            [column(table, 'memory_total_bytes'), column(table, 'memory_available_bytes')],
            (total, available) => total - available,
          ),
      },
      line('cached', 3, 'memory_cached_bytes'),
      line('total', 4, 'memory_total_bytes', { dashed: true }),
    ],
  },
  {
    name: 'host_load',
    unit: 'count',
    lines: [
      line('load_1m', 1, 'load_1m'),
      line('load_5m', 2, 'load_5m'),
      line('load_15m', 3, 'load_15m'),
    ],
  },
  ...disk(),
  ...network(),
  ...AGENT_CHARTS,
]

/** Metrics that are needed beside those that the lines name. */
const ALSO = { vm: ['vcpu_current', 'memory_used_source'], host: ['cpu_count'] }

/** Every metric that the charts of a kind need, each once. */
export function metricsOf(kind: 'vm' | 'host'): string[] {
  const charts = kind === 'vm' ? VM_CHARTS : HOST_CHARTS
  const named = charts.flatMap((chart) => chart.lines.flatMap((one) => one.metrics))
  return [...new Set([...named, ...ALSO[kind]])]
}

/** Share of a host's cores that is at work, in percent. The kernel counts in ticks: more than all of it is their rounding. */
export function hostBusy(table: Table): Column {
  const parts = ['cpu_user_ns', 'cpu_nice_ns', 'cpu_system_ns', 'cpu_irq_ns', 'cpu_steal_ns']
  return hostShare('used', 1, parts)
    .values(table)
    .map((busy) => (busy === null ? null : Math.min(100, busy)))
}
