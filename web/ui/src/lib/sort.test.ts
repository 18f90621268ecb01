import { describe, expect, it } from 'vitest'
import { direction, turned, weight } from './sort'

describe('turned', () => {
  it('orders by the column alone, rising first', () => {
    expect(turned('name', 'state', false)).toBe('state')
    expect(turned('state,-name', 'state', false)).toBe('-state')
    expect(turned('-name', 'name', false)).toBe('name')
  })

  it('keeps the others with their weight', () => {
    expect(turned('state', 'name', true)).toBe('state,name')
    expect(turned('state,name', 'state', true)).toBe('-state,name')
  })
})

describe('direction and weight', () => {
  it('are of the column that is named, not of one that begins like it', () => {
    expect(direction('-memory_used,name', 'memory_used')).toBe('descending')
    expect(direction('memory_used', 'memory')).toBe('none')
    expect(weight('-memory_used,name', 'name')).toBe(2)
    expect(weight('name', 'name')).toBe(0)
  })
})
