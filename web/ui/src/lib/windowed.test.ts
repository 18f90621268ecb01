import { describe, expect, it } from 'vitest'
import { inSight, pagesOf } from './windowed'

describe('inSight', () => {
  it('is the beginning while the list is not scrolled', () => {
    expect(inSight(200, 1000, 40, 10_000)).toEqual({ first: 0, end: 32 })
  })

  it('has some rows around what is seen', () => {
    expect(inSight(-4000, 1000, 40, 10_000)).toEqual({ first: 88, end: 137 })
  })

  it('ends with the list', () => {
    expect(inSight(-399_000, 1000, 40, 10_000)).toEqual({ first: 9963, end: 10_000 })
    expect(inSight(0, 1000, 40, 0)).toEqual({ first: 0, end: 0 })
    // A list that became shorter while somebody was far down.
    expect(inSight(-399_000, 1000, 40, 5)).toEqual({ first: 5, end: 5 })
  })
})

describe('pagesOf', () => {
  it('covers the rows, and always one page', () => {
    expect(pagesOf({ first: 0, end: 32 }, 100)).toEqual([1])
    expect(pagesOf({ first: 88, end: 137 }, 100)).toEqual([1, 2])
    expect(pagesOf({ first: 100, end: 200 }, 100)).toEqual([2])
    expect(pagesOf({ first: 0, end: 0 }, 100)).toEqual([1])
  })
})
