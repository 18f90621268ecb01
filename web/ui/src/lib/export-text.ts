/** How an export is told of in a list. */
import type { ExportJob, ExportQuery } from '@/api/export'
import type { Tone } from './state'

const TONES: Record<ExportJob['state'], Tone> = {
  queued: 'idle',
  running: 'warn',
  done: 'good',
  failed: 'bad',
  cancelled: 'idle',
  removed: 'idle',
}

export const exportTone = (state: ExportJob['state']): Tone => TONES[state]

/** Whether something still happens to it by itself. */
export const isOpen = (job: ExportJob): boolean => job.state === 'queued' || job.state === 'running'

/** The share that is done; null while nobody knows. */
export function progress({ state, rows_done, rows_total }: ExportJob): number | null {
  if (state === 'done') return 1
  return rows_total === null || rows_total === 0 ? null : Math.min(1, rows_done / rows_total)
}

/** The filters of an address as what they mean: numbers as numbers, yes and no as such. */
export function typed(query: Record<string, string | undefined>): ExportQuery {
  const meaning = (name: string, value: string) => {
    if (/_(min|max)(_bytes)?$/.test(name)) return Number(value)
    return name === 'manual' || name === 'reporting' ? value === 'true' : value
  }
  return Object.fromEntries(Object.entries(query).flatMap(([name, value]) => (value ? [[name, meaning(name, value)]] : [])))
}

function text(value: unknown): string {
  if (Array.isArray(value)) return value.length > 3 ? `${value.slice(0, 3).map(text).join(',')},…` : value.map(text).join(',')
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

/** What was asked for, shortly: `state=running sort=name`. */
export function queryText(query: ExportQuery): string {
  return Object.entries(query)
    .filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([name, value]) => `${name}=${text(value)}`)
    .join(' ')
}
