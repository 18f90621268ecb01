import { describe, expect, it } from 'vitest'
import type { LiveSample } from './table'
import { Watched } from './live-watched'

/** A view of a group that notes what it hears. */
function view() {
  const members: [string[], number][] = []
  const samples: [string, LiveSample][] = []
  return {
    members,
    samples,
    listener: {
      members: (entities: string[], more: number) => members.push([entities, more]),
      sample: (entity: string, sample: LiveSample) => samples.push([entity, sample]),
    },
  }
}

const sample = (entity: string, time: number) => ({ entity, time, values: { x: time } })

describe('what is watched', () => {
  it('is named once, until the last one leaves', () => {
    const watched = new Watched()
    const listener = () => undefined
    const leave = [watched.add('vm:a', listener), watched.add('vm:a', () => undefined), watched.addGroup('group:g', view().listener)]
    expect(watched.names()).toEqual(['vm:a', 'group:g'])
    expect(leave.map((one) => one())).toEqual([false, true, true])
    expect(leave.map((one) => one())).toEqual([false, false, false])
    expect(watched.names()).toEqual([])
  })

  it('follows a group, whoever is in it', () => {
    const watched = new Watched()
    const one = view()
    watched.addGroup('group:g', one.listener)
    watched.hand(sample('vm:a', 1), false)
    watched.regroup('group:g', ['vm:a'], 0)
    watched.regroup('group:other', ['vm:b'], 0)
    watched.hand(sample('vm:a', 2), false)
    watched.hand(sample('vm:b', 3), false)
    watched.regroup('group:g', ['vm:b'], 7)
    watched.hand(sample('vm:b', 4), true)
    expect(one.members).toEqual([[['vm:a'], 0], [['vm:b'], 7]])
    expect(one.samples).toEqual([
      ['vm:a', { time: 2, values: { x: 2 } }],
      ['vm:b', { time: 4, values: { x: 4 }, known: true }],
    ])
  })

  it('tells a view that comes later who is in the group', () => {
    const watched = new Watched()
    watched.addGroup('group:g', view().listener)
    watched.regroup('group:g', ['vm:a'], 2)
    const late = view()
    watched.addGroup('group:g', late.listener)
    expect(late.members).toEqual([[['vm:a'], 2]])
  })
})
