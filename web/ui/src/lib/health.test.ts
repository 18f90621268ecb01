import { describe, expect, it } from 'vitest'
import type { Activity, Collector, System } from '@/api/client'
import { collectorState, problemsOf } from './health'

function collector(name: string, more: Partial<Collector> = {}): Collector {
  return {
    name,
    version: '1.2.3',
    address: '192.0.2.1:8785',
    started_at: '2026-11-25T12:00:00Z',
    heartbeat_at: '2026-11-25T12:00:00Z',
    heartbeat_age_s: 2,
    stopped_at: null,
    alive: true,
    sessions: 1,
    writers: 2,
    queue_frames: 0,
    rows_in_flight: 0,
    rows_total: 1,
    rows_per_s: 1,
    commit_mean_ms: null,
    commit_max_ms: null,
    ...more,
  }
}

function failed(name: string): Activity {
  return { collector: name, name: 'retention', done: false, message: 'no', began_at: '2026-11-25T12:00:00Z', took_ms: 1 }
}

function system(more: Partial<System> = {}): System {
  return {
    as_of: '2026-11-25T12:00:00Z',
    agents: { total: 2, connected: 2, revoked: 0, disconnected: 0, behind: 0, skewed: 0, expiring: 0, versions: [] },
    collectors: [collector('north')],
    activities: [],
    database: {
      flavor: 'postgres',
      server: '15',
      schema: 6,
      bytes: null,
      measured_at: null,
      growth_bytes_per_day: null,
      growth_since: null,
      capacity_bytes: null,
      days_until_full: null,
    },
    ...more,
  }
}

const kinds = (of: System) => problemsOf(of).map((one) => one.kind)
const dead = collector('south', { alive: false, heartbeat_age_s: 90 })
const stopped = collector('south', { alive: false, stopped_at: '2026-11-25T12:00:00Z' })

describe('problemsOf', () => {
  it('is empty while all is well, also with a collector that was stopped', () => {
    expect(kinds(system())).toEqual([])
    expect(kinds(system({ collectors: [collector('north'), stopped] }))).toEqual([])
  })

  it('tells the worst first', () => {
    const agents = { total: 9, connected: 5, revoked: 1, disconnected: 3, behind: 2, skewed: 1, expiring: 1, versions: [] }
    const all = system({ agents, collectors: [collector('north'), dead], activities: [failed('north')] })
    expect(kinds(all)).toEqual([
      'collector_silent',
      'activity_failed',
      'agents_disconnected',
      'agents_expiring',
      'agents_skewed',
      'agents_behind',
    ])
  })

  it('says that no collector runs, whether they died, stopped or never were', () => {
    expect(kinds(system({ collectors: [] }))).toEqual(['no_collector'])
    expect(kinds(system({ collectors: [stopped] }))).toEqual(['no_collector'])
    expect(kinds(system({ collectors: [dead] }))).toEqual(['no_collector', 'collector_silent'])
  })

  it('does not tell what a collector failed to do before it ended', () => {
    expect(kinds(system({ collectors: [collector('north'), stopped], activities: [failed('south')] }))).toEqual([])
  })
})

describe('collectorState', () => {
  it('tells one that died from one that was stopped', () => {
    expect([collector('north'), dead, stopped].map(collectorState)).toEqual(['running', 'silent', 'stopped'])
  })
})
