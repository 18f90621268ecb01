/** What the views of a page watch on the live connection, and who wants to hear of it. */
import type { EntitySample } from './live-message'
import type { LiveSample } from './table'

/** Called with each sample of a watched entity. */
export type Listener = (sample: LiveSample) => void

/** What a view of a group wants to hear. */
export interface GroupListener {
  /** Who is in the group now, and how many more are not watched because there are too many. */
  members: (entities: string[], more: number) => void
  /** A sample of one of them. */
  sample: (entity: string, sample: LiveSample) => void
}

/** A group that is watched, and what was last said of it. */
interface Group {
  listeners: Set<GroupListener>
  entities: Set<string>
  more: number
  /** The server has said who is in it. */
  known: boolean
}

export class Watched {
  private readonly entities = new Map<string, Set<Listener>>()
  private readonly groups = new Map<string, Group>()

  /** Everything that somebody watches. */
  names(): string[] {
    return [...this.entities.keys(), ...this.groups.keys()]
  }

  /** Adds a listener; the function takes it away and says whether it was the last one. */
  add(entity: string, listener: Listener): () => boolean {
    const listeners = this.entities.get(entity) ?? new Set()
    this.entities.set(entity, listeners)
    listeners.add(listener)
    return () => {
      if (!listeners.delete(listener) || listeners.size > 0) return false
      return this.entities.delete(entity)
    }
  }

  /** The same for a group. */
  addGroup(name: string, listener: GroupListener): () => boolean {
    const group = this.groups.get(name) ?? { listeners: new Set(), entities: new Set(), more: 0, known: false }
    this.groups.set(name, group)
    group.listeners.add(listener)
    if (group.known) listener.members([...group.entities], group.more)
    return () => {
      if (!group.listeners.delete(listener) || group.listeners.size > 0) return false
      return this.groups.delete(name)
    }
  }

  /** Takes who is in a group now. */
  regroup(name: string, entities: string[], more: number): void {
    const group = this.groups.get(name)
    if (!group) return
    Object.assign(group, { entities: new Set(entities), more, known: true })
    group.listeners.forEach((listener) => {
      listener.members(entities, more)
    })
  }

  /** Hands a sample to whoever watches its entity, or a group that it is in; `known` when it is no news. */
  hand({ entity, time, values }: EntitySample, known: boolean): void {
    const sample: LiveSample = known ? { time, values, known } : { time, values }
    this.entities.get(entity)?.forEach((listener) => {
      listener(sample)
    })
    for (const group of this.groups.values()) {
      if (!group.entities.has(entity)) continue
      group.listeners.forEach((listener) => {
        listener.sample(entity, sample)
      })
    }
  }
}
