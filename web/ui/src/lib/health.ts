/** What is wrong with the installation, from what the server tells of it: worst first. */
import type { Agent, Collector, System } from '@/api/client'
import type { Tone } from './state'

/** Something that a person should look at. */
export type Problem =
  | { kind: 'no_collector'; tone: 'bad' }
  | { kind: 'collector_silent'; tone: 'bad'; name: string; age_s: number }
  | { kind: 'activity_failed'; tone: 'bad'; name: string; work: string; message: string }
  | { kind: 'agents_disconnected'; tone: 'bad'; count: number }
  | { kind: 'agents_expiring'; tone: 'warn'; count: number }
  | { kind: 'agents_skewed'; tone: 'warn'; count: number }
  | { kind: 'agents_behind'; tone: 'warn'; count: number }

/** How a collector is. */
export function collectorState(collector: Collector): 'running' | 'stopped' | 'silent' {
  if (collector.alive) return 'running'
  return collector.stopped_at === null ? 'silent' : 'stopped'
}

/** An agent's version without what every agent's begins with. */
export function agentVersion(version: string): string {
  return version.replace(/^vmscope-agent /, '')
}

/** How alarming each of these is. */
export const TONES: Record<ReturnType<typeof collectorState> | Agent['state'], Tone> = {
  running: 'good',
  stopped: 'idle',
  silent: 'bad',
  connected: 'good',
  behind: 'warn',
  disconnected: 'bad',
  revoked: 'idle',
}

/**
 * The problems of an installation. A collector that stopped in order is none, and neither are the old work of one that
 * does not run (only that none runs at all) and an agent that somebody has revoked.
 */
export function problemsOf(system: System): Problem[] {
  const { agents, collectors } = system
  const alive = new Set(collectors.filter((one) => one.alive).map((one) => one.name))
  const found: Problem[] = []
  if (alive.size === 0) found.push({ kind: 'no_collector', tone: 'bad' })
  for (const one of collectors) {
    if (collectorState(one) === 'silent') {
      found.push({ kind: 'collector_silent', tone: 'bad', name: one.name, age_s: one.heartbeat_age_s })
    }
  }
  for (const one of system.activities) {
    if (one.done || !alive.has(one.collector)) continue
    found.push({ kind: 'activity_failed', tone: 'bad', name: one.collector, work: one.name, message: one.message })
  }
  if (agents.disconnected > 0) found.push({ kind: 'agents_disconnected', tone: 'bad', count: agents.disconnected })
  if (agents.expiring > 0) found.push({ kind: 'agents_expiring', tone: 'warn', count: agents.expiring })
  if (agents.skewed > 0) found.push({ kind: 'agents_skewed', tone: 'warn', count: agents.skewed })
  if (agents.behind > 0) found.push({ kind: 'agents_behind', tone: 'warn', count: agents.behind })
  return found
}
