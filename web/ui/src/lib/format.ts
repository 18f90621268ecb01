/** Numbers, sizes, durations and times as people read them, in the language of the page. */

/** What a formatted number means; charts, legends and tooltips share these. */
export type Unit = 'bytes' | 'bytes/s' | 'percent' | 'per-second' | 'ms' | 's' | 'count'

/** Shown where there is no value. */
export const NO_VALUE = '–'

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
const LARGE_UNITS = ['', 'k', 'M', 'G', 'T']

const SPANS: [number, string][] = [
  [60, 'min'],
  [3600, 'h'],
  [86_400, 'd'],
]

const formats = new Map<string, Intl.NumberFormat>()

function decimal(value: number, digits: number, locale: string): string {
  const key = `${locale}/${digits}`
  let format = formats.get(key)
  if (!format) {
    format = new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })
    formats.set(key, format)
  }
  // A rounded small negative must not read "-0".
  return format.format(Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value)
}

/** Three significant digits, never an exponent: 0.123, 1.23, 12.3, 123. */
function significant(value: number, locale: string): string {
  const size = Math.abs(value)
  if (size === 0) return '0'
  const digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3
  return decimal(value, digits, locale)
}

function scaled(value: number, base: number, units: string[], locale: string, whole: boolean): string {
  let power = 0
  let rest = value
  // 999.5 would round to "1000": the next unit reads better.
  while (Math.abs(rest) >= base * 0.9995 && power < units.length - 1) {
    rest /= base
    power += 1
  }
  const number = whole && power === 0 ? decimal(rest, 0, locale) : significant(rest, locale)
  return units[power] ? `${number} ${units[power]}` : number
}

/** Bytes with binary prefixes: `1.50 GiB`. */
export function bytes(value: number | null | undefined, locale: string): string {
  return value == null ? NO_VALUE : scaled(value, 1024, BYTE_UNITS, locale, true)
}

/** A count or a rate without unit, with decimal prefixes: `12.3 k`. */
export function count(value: number | null | undefined, locale: string): string {
  if (value == null) return NO_VALUE
  return Number.isInteger(value) && Math.abs(value) < 10_000
    ? decimal(value, 0, locale)
    : scaled(value, 1000, LARGE_UNITS, locale, false)
}

/** A count to the last one: `12,345`. */
export function whole(value: number, locale: string): string {
  return decimal(value, 0, locale)
}

/** A share, 100 meaning all of it: `12.3 %`. */
export function percent(value: number | null | undefined, locale: string): string {
  if (value == null) return NO_VALUE
  return `${decimal(value, Math.abs(value) >= 99.95 ? 0 : 1, locale)} %`
}

/** Seconds, or minutes, hours and days where seconds would be many: `12.3 s`, `2.50 h`. */
function spent(seconds: number, locale: string): string {
  const [length, unit] = SPANS.findLast(([length]) => Math.abs(seconds) >= 2 * length) ?? [1, 's']
  return `${significant(seconds / length, locale)} ${unit}`
}

/** A value with its unit, for legends and tooltips. */
export function value(number: number | null | undefined, unit: Unit, locale: string): string {
  if (number == null) return NO_VALUE
  switch (unit) {
    case 'bytes':
      return bytes(number, locale)
    case 'bytes/s':
      return `${scaled(number, 1024, BYTE_UNITS, locale, true)}/s`
    case 'percent':
      return percent(number, locale)
    case 'per-second':
      return `${count(number, locale)} /s`
    case 'ms':
      return `${significant(number, locale)} ms`
    case 's':
      return spent(number, locale)
    case 'count':
      return count(number, locale)
  }
}

/** Axis labels: the value without trailing zeros, short enough for a narrow gutter. */
export function tick(number: number, unit: Unit, locale: string): string {
  const [base, units] = unit.startsWith('bytes') ? [1024, ['', 'K', 'M', 'G', 'T', 'P']] : [1000, LARGE_UNITS]
  let power = 0
  let rest = number
  while (Math.abs(rest) >= (base as number) && power < units.length - 1) {
    rest /= base as number
    power += 1
  }
  const short = new Intl.NumberFormat(locale, { maximumSignificantDigits: 4 }).format(rest)
  const suffix = unit === 'percent' ? ' %' : ''
  return `${short}${units[power]}${suffix}`
}

/** The words of {@link duration}, given by the language files. */
export interface DurationWords {
  d: string
  h: string
  min: string
  s: string
}

/** A length of time by its two largest parts: `3 d 4 h`, `42 s`. */
export function duration(seconds: number, words: DurationWords): string {
  const whole = Math.max(0, Math.round(seconds))
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), words.d],
    [Math.floor((whole % 86_400) / 3600), words.h],
    [Math.floor((whole % 3600) / 60), words.min],
    [whole % 60, words.s],
  ]
  const first = parts.findIndex(([amount]) => amount > 0)
  if (first < 0) return `0 ${words.s}`
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, word]) => `${amount} ${word}`)
    .join(' ')
}

/** How long ago, in the page's language: `3 minutes ago`. Future times (a clock that runs ahead) read as now. */
export function ago(time_ms: number, now_ms: number, locale: string): string {
  const seconds = Math.max(0, Math.round((now_ms - time_ms) / 1000))
  const format = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' })
  if (seconds < 60) return format.format(-seconds, 'second')
  if (seconds < 3600) return format.format(-Math.round(seconds / 60), 'minute')
  if (seconds < 86_400) return format.format(-Math.round(seconds / 3600), 'hour')
  return format.format(-Math.round(seconds / 86_400), 'day')
}

const times = new Map<string, Intl.DateTimeFormat>()

/** English dates by year, month, day: the order of the others is another one on each side of the Atlantic. */
const DATE_LOCALE: Record<string, string> = { en: 'en-CA' }

function timeFormat(locale: string, key: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const id = `${locale}/${key}`
  let format = times.get(id)
  if (!format) {
    format = new Intl.DateTimeFormat(DATE_LOCALE[locale] ?? locale, { hourCycle: 'h23', ...options })
    times.set(id, format)
  }
  return format
}

/** Date and time to the second, in the viewer's zone. */
export function dateTime(time_ms: number, locale: string): string {
  return timeFormat(locale, 'full', {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).format(time_ms)
}

/** Below this the seconds of a span's ends matter, in ms. */
const SHORT_SPAN_MS = 600_000

/** A span of time by its two ends, what they have in common said once. */
export function span(from_ms: number, to_ms: number, locale: string): string {
  const short = to_ms - from_ms < SHORT_SPAN_MS
  const day = { month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' } as const
  return timeFormat(locale, short ? 'short span' : 'span', short ? { ...day, second: '2-digit' } : day).formatRange(from_ms, to_ms)
}

/** A time on a chart's axis: as fine as the distance between two ticks asks for; midnight is the new date. */
export function axisTime(time_ms: number, step_ms: number, locale: string): string {
  const midnight = step_ms >= 3_600_000 && new Date(time_ms).getHours() === 0
  if (step_ms >= 86_400_000 || midnight) return timeFormat(locale, 'day', { month: '2-digit', day: '2-digit' }).format(time_ms)
  if (step_ms >= 60_000) return timeFormat(locale, 'minute', { hour: '2-digit', minute: '2-digit' }).format(time_ms)
  return timeFormat(locale, 'second', { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(time_ms)
}
