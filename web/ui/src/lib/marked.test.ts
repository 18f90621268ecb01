import { describe, expect, it } from 'vitest'
import { marked } from './marked'

describe('marked', () => {
  it('splits around the character', () => {
    expect(marked('name = ', 5)).toEqual({ before: 'name ', at: '=', after: ' ' })
  })

  it('marks the end where something is missing', () => {
    expect(marked('name =', 6)).toEqual({ before: 'name =', at: '', after: '' })
    expect(marked('name =', 60).before).toBe('name =')
  })

  it('counts characters, not their units', () => {
    expect(marked('🦀x', 1)).toEqual({ before: '🦀', at: 'x', after: '' })
  })
})
