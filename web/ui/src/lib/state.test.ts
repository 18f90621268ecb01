import { expect, it } from 'vitest'
import { ordered, stateTone } from './state'

it('orders states by interest and leaves empty ones out', () => {
  expect(ordered({ silent: 3, shutoff: 2, novel: 1, running: 5, crashed: 0 })).toEqual([
    ['running', 5],
    ['shutoff', 2],
    ['silent', 3],
    ['novel', 1],
  ])
})

it('is calm about states that it does not know', () => {
  expect(stateTone('novel')).toBe('idle')
  expect(stateTone(null)).toBe('idle')
  expect(stateTone('crashed')).toBe('bad')
})
