/** What watching costs a host, and whether its agent keeps up: charts of the host's page. */
import type { ChartSpec, LineSpec } from './charts'
import { column, combine, type Column } from './table'

function line(name: string, metric: string, of: (values: Column) => Column = (values) => values): LineSpec {
  return { name, colour: 1, metrics: [metric], values: (table) => of(column(table, metric)) }
}

/** Seconds a second, as percent of one core. */
const percent = (values: Column) => combine([values], (cores) => 100 * cores)
const filled = (one: LineSpec) => ({ ...one, filled: true })

export const AGENT_CHARTS: ChartSpec[] = [
  { name: 'agent_cpu', unit: 'percent', lines: [filled(line('used', 'agent_cpu_ns', percent))] },
  { name: 'agent_memory', unit: 'bytes', lines: [filled(line('resident', 'agent_rss_bytes'))] },
  { name: 'agent_buffer', unit: 'bytes', lines: [filled(line('waiting', 'agent_buffer_bytes'))] },
  { name: 'agent_lag', unit: 's', lines: [filled(line('oldest', 'agent_lag_s'))] },
  { name: 'agent_cadence', unit: 'count', lines: [line('stretch', 'agent_cadence_stretch')] },
]
