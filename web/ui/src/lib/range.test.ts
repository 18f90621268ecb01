import { describe, expect, it } from 'vitest'
import { ends, fixedText, length_ms, parseSpan, refresh_ms, SPAN_MS } from './range'

describe('parseSpan', () => {
  it('takes the fixed span before the range', () => {
    expect(parseSpan('h1', '100-160')).toEqual({ from_ms: 100_000, to_ms: 160_000 })
  })

  it.each([['160-100'], ['100-101'], ['-5-100'], ['a-b'], [''], [undefined], [['1-100']]])('falls back to the range for %j', (text) => {
    expect(parseSpan('h6', text)).toBe('h6')
  })

  it('is live when the address names nothing known', () => {
    expect(parseSpan('h7', undefined)).toBe('live')
  })

  it('reads what the address was given', () => {
    const span = { from_ms: 1_700_000_000_400, to_ms: 1_700_000_600_400 }
    expect(parseSpan(undefined, fixedText(span))).toEqual({ from_ms: 1_700_000_000_000, to_ms: 1_700_000_601_000 })
  })
})

describe('ends', () => {
  it('moves with the clock for a range, and not for a fixed span', () => {
    expect(ends('h1', SPAN_MS.h1 + 5)).toEqual({ from_ms: 5, to_ms: SPAN_MS.h1 + 5 })
    expect(ends({ from_ms: 1, to_ms: 9 }, 1000)).toEqual({ from_ms: 1, to_ms: 9 })
    expect(length_ms({ from_ms: 1, to_ms: 9 })).toBe(8)
  })
})

describe('refresh_ms', () => {
  it('is never more than a minute', () => {
    for (const span of ['live', 'm15', 'd30', 'y1', { from_ms: 0, to_ms: 1e12 }] as const) expect(refresh_ms(span)).toBeLessThanOrEqual(60_000)
  })
})
