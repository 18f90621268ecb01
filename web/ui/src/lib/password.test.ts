import { describe, expect, it } from 'vitest'
import { acceptable, rules } from './password'

describe('a password', () => {
  const broken = (password: string, name = 'alice') => rules(password, name).filter((one) => !one.kept).map((one) => one.rule)

  it('keeps all rules or names the broken ones', () => {
    expect(broken('Abcdefgh1234')).toEqual([])
    expect(broken('abcdefgh1234')).toEqual(['kinds'])
    expect(broken('Abc-1')).toEqual(['length'])
    expect(broken('Is-ALICE-here-12')).toEqual(['not_name'])
    expect(broken('Is-Bob-here-1234', 'bob')).toEqual([])
    expect(broken('')).toEqual(['length', 'kinds', 'not_name'])
  })

  it('may be a long phrase in any script', () => {
    expect(acceptable('correct horse battery', 'alice')).toBe(true)
    expect(acceptable('春の夜の夢のごとし、偏に風の前の塵に同じ', 'alice')).toBe(true)
    expect(acceptable('a'.repeat(257), 'alice')).toBe(false)
  })
})
