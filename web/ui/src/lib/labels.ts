/** Labels as people type and read them. */
import type { Labels } from '@/api/inventory-types'

/** A label as text: `env=prod`; without its value when that is empty. */
export function labelText(key: string, value: string): string {
  return value === '' ? key : `${key}=${value}`
}

/** All labels as texts, by key. */
export function labelTexts(labels: Labels): string[] {
  return Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => labelText(key, value))
}

/** What was typed, as key and value; null when it has no key. */
export function parseLabel(text: string): { key: string; value: string } | null {
  const [key = '', ...rest] = text.split('=')
  return key.trim() === '' ? null : { key: key.trim(), value: rest.join('=').trim() }
}

/** The labels that these texts say; the last one of a key holds. */
export function labelsOf(texts: readonly string[]): Labels {
  return Object.fromEntries(
    texts.flatMap((text) => {
      const label = parseLabel(text)
      return label ? [[label.key, label.value]] : []
    }),
  )
}
