import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import en from '@/locales/en'
import { CAUSES, numbersText, since } from './ledger'

describe('CAUSES', () => {
  it('are those of the API and have words', () => {
    const contract = readFileSync(join(import.meta.dirname, '../../../openapi.json'), 'utf8')
    const { components } = JSON.parse(contract) as {
      components: { schemas: { Gap: { properties: { cause: { description: string } } } } }
    }
    const told = components.schemas.Gap.properties.cause.description.match(/(?<=`)[a-z_]+(?=`)/g)
    expect([...CAUSES].sort()).toEqual([...(told ?? [])].sort())
    expect(Object.keys(en.cause).filter((cause) => cause !== 'unknown').sort()).toEqual([...CAUSES].sort())
  })
})

describe('numbersText', () => {
  it('says the run once', () => {
    expect(numbersText({ first: '7.2', last: '7.4' })).toBe('7.2–4')
    expect(numbersText({ first: '7.2', last: '7.2' })).toBe('7.2')
    expect(numbersText({ first: '7.2', last: '8.0' })).toBe('7.2 – 8.0')
  })
})

describe('since', () => {
  it('reaches back from the given time', () => {
    expect(since('h24', Date.parse('2026-11-25T12:00:00Z'))).toBe('2026-11-24T12:00:00.000Z')
  })

  it('does not limit what no range is called', () => {
    expect([since('', 0), since('century', 0)]).toEqual([undefined, undefined])
  })
})
