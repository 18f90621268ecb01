import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { preferredLanguage } from '.'
import en from './en'
import ja from './ja-JP'
import zh from './zh-CN'

interface Tree {
  [key: string]: string | Tree
}

function flatten(tree: Tree, prefix = ''): Map<string, string> {
  const flat = new Map<string, string>()
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === 'string') flat.set(prefix + key, value)
    else flatten(value, `${prefix}${key}.`).forEach((text, path) => flat.set(path, text))
  }
  return flat
}

const languages = { en: flatten(en), 'zh-CN': flatten(zh), 'ja-JP': flatten(ja) }
const root = join(import.meta.dirname, '..')
const source = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(vue|ts)$/.test(name) && !name.includes('.test.') && !name.startsWith('locales'))
  .map((name) => readFileSync(join(root, name), 'utf8'))
  .join('\n')

/** Keys written out in the code, and beginnings and ends of those that are put together (`state.${state}`). */
const written = [...source.matchAll(/\bte?\(\s*'([a-z_]+(?:\.[a-z0-9_]+)+)'/gi)].map((match) => match[1] ?? '')
const composed = [...source.matchAll(/\bte?\(\s*`([a-z_.]+)\$\{[^}]+\}([a-z_]*)`/gi)].map((match) => ({
  start: match[1] ?? '',
  end: match[2] ?? '',
}))

describe.each(Object.entries(languages))('%s', (_language, texts) => {
  it('has the keys of the other languages', () => {
    expect([...texts.keys()].sort()).toEqual([...languages.en.keys()].sort())
  })

  it('fills in the same values as English', () => {
    const places = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort()
    for (const [key, text] of texts) expect([key, places(text)]).toEqual([key, places(languages.en.get(key) ?? '')])
  })

  it('has no empty text', () => {
    expect([...texts].filter(([, text]) => text.trim() === '')).toEqual([])
  })
})

describe('keys', () => {
  it('are all used', () => {
    const used = (key: string) =>
      written.includes(key) || composed.some(({ start, end }) => key.startsWith(start) && key.endsWith(end))
    expect([...languages.en.keys()].filter((key) => !used(key))).toEqual([])
  })

  it('all exist', () => {
    expect(written.filter((key) => !languages.en.has(key))).toEqual([])
    expect(written.length).toBeGreaterThan(50)
  })

  it('are translated: only names and abbreviations read the same in Chinese or Japanese as in English', () => {
    const same = (texts: Map<string, string>) =>
      [...texts].filter(([key, text]) => text === languages.en.get(key) && !/^(CPU|vCPUs?|VMs?)$/.test(text))
    expect(same(languages['zh-CN'])).toEqual([])
    expect(same(languages['ja-JP'])).toEqual([])
  })
})

describe('preferredLanguage', () => {
  it.each([
    [['ja'], 'ja-JP'],
    [['fr', 'zh-TW', 'en'], 'zh-CN'],
    [['de'], 'en'],
    [[], 'en'],
  ] as const)('of %j is %s', (tags, language) => {
    expect(preferredLanguage(tags)).toBe(language)
  })
})
