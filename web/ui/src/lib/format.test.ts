import { describe, expect, it } from 'vitest'
import { ago, axisTime, bytes, count, dateTime, duration, NO_VALUE, percent, tick, value } from './format'

const WORDS = { d: 'd', h: 'h', min: 'min', s: 's' }

describe('bytes', () => {
  it.each([
    [0, '0 B'],
    [1, '1 B'],
    [1023, '1,023 B'],
    [1024 ** 2 - 1, '1.00 MiB'],
    [1536, '1.50 KiB'],
    [10 * 1024, '10.0 KiB'],
    [100 * 1024 ** 2, '100 MiB'],
    [2 ** 31, '2.00 GiB'],
    [2 ** 60, '1,024 PiB'],
  ])('writes %d as %s', (number, text) => {
    expect(bytes(number, 'en')).toBe(text)
  })

  it('keeps fractions of a byte out', () => {
    expect(bytes(3.7, 'en')).toBe('4 B')
  })

  it('shows a dash without a value', () => {
    expect(bytes(null, 'en')).toBe(NO_VALUE)
    expect(bytes(undefined, 'en')).toBe(NO_VALUE)
  })
})

describe('counts and shares', () => {
  it.each([
    [0, '0'],
    [7, '7'],
    [9999, '9,999'],
    [10_000, '10.0 k'],
    [0.0863, '0.086'],
    [12.34, '12.3'],
    [1_234_567, '1.23 M'],
  ])('writes %d as %s', (number, text) => {
    expect(count(number, 'en')).toBe(text)
  })

  it('never writes a negative zero', () => {
    expect(percent(-0.001, 'en')).toBe('0.0 %')
  })

  it('drops the decimals of large shares', () => {
    expect(percent(99.94, 'en')).toBe('99.9 %')
    expect(percent(99.96, 'en')).toBe('100 %')
  })

  it('adds units', () => {
    expect(value(2048, 'bytes/s', 'en')).toBe('2.00 KiB/s')
    expect(value(12.5, 'per-second', 'en')).toBe('12.5 /s')
    expect(value(0.5, 'ms', 'en')).toBe('0.500 ms')
    expect(value(null, 'ms', 'en')).toBe(NO_VALUE)
    expect([0, 0.25, 119, 120, 9000, 200_000].map((one) => value(one, 's', 'en'))).toEqual([
      '0 s',
      '0.250 s',
      '119 s',
      '2.00 min',
      '2.50 h',
      '2.31 d',
    ])
  })

  it('keeps axis labels short', () => {
    expect(tick(2 ** 30, 'bytes', 'en')).toBe('1G')
    expect(tick(1500, 'per-second', 'en')).toBe('1.5k')
    expect(tick(50, 'percent', 'en')).toBe('50 %')
    expect(tick(0, 'bytes/s', 'en')).toBe('0')
    expect(tick(0.0025, 'ms', 'en')).toBe('0.0025')
  })
})

describe('times', () => {
  it('names the two largest parts of a duration', () => {
    expect(duration(0, WORDS)).toBe('0 s')
    expect(duration(59.6, WORDS)).toBe('1 min')
    expect(duration(3 * 86_400 + 4 * 3600 + 59, WORDS)).toBe('3 d 4 h')
    expect(duration(86_400 + 61, WORDS)).toBe('1 d')
    expect(duration(-5, WORDS)).toBe('0 s')
  })

  it('says how long ago in the language of the page', () => {
    expect(ago(0, 5000, 'en')).toBe('5 sec. ago')
    expect(ago(0, 180_000, 'zh-CN')).toBe('3分钟前')
    expect(ago(9000, 0, 'en')).toBe('now')
  })

  it('writes 24 hours from 00 to 23 in every language', () => {
    const midnight = new Date(2026, 0, 2, 0, 5, 9).getTime()
    for (const locale of ['en', 'zh-CN', 'ja-JP']) {
      expect(dateTime(midnight, locale)).toContain('00:05:09')
      expect(axisTime(midnight, 60_000, locale)).toBe('00:05')
      expect(axisTime(midnight, 1000, locale)).toBe('00:05:09')
      expect(axisTime(midnight, 86_400_000, locale)).toMatch(/01.02/)
    }
  })

  it('writes the date at midnight when hours are shown, and English dates in one order only', () => {
    const midnight = new Date(2026, 0, 2, 0, 0, 0).getTime()
    expect(axisTime(midnight, 6 * 3_600_000, 'en')).toBe('01-02')
    expect(axisTime(midnight + 6 * 3_600_000, 6 * 3_600_000, 'en')).toBe('06:00')
    expect(dateTime(midnight, 'en')).toBe('2026-01-02, 00:00:00')
  })
})
