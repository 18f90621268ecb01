import { describe, expect, it } from 'vitest'
import { labelsOf, labelTexts, parseLabel } from './labels'

describe('parseLabel', () => {
  it.each([
    ['env=prod', { key: 'env', value: 'prod' }],
    [' env = prod ', { key: 'env', value: 'prod' }],
    ['query=a=b', { key: 'query', value: 'a=b' }],
    ['tier', { key: 'tier', value: '' }],
    ['=prod', null],
    ['', null],
  ])('of %j is %j', (text, label) => {
    expect(parseLabel(text)).toEqual(label)
  })
})

describe('labelsOf', () => {
  it('is the way back from the texts', () => {
    const labels = { tier: '', env: 'prod' }
    expect(labelTexts(labels)).toEqual(['env=prod', 'tier'])
    expect(labelsOf(labelTexts(labels))).toEqual(labels)
  })

  it('takes the last of a key', () => {
    expect(labelsOf(['env=test', 'env=prod'])).toEqual({ env: 'prod' })
  })
})
