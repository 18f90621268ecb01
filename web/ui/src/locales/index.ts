/** The three languages. Only the one in use is loaded. */
import type { Language as ElementLanguage } from 'element-plus/es/locale'
import { shallowRef } from 'vue'
import { createI18n } from 'vue-i18n'
import type access from './access/en'
import type account from './account/en'
import type audit from './audit/en'
import type en from './en'
import type exports from './exports/en'
import type history from './history/en'
import type inventory from './inventory/en'
import type metric from './metric/en'
import type operation from './operation/en'
import type overview from './overview/en'
import type rule from './rule/en'
import type shell from './shell/en'
import type wall from './wall/en'

/** Every language file has exactly the shape of the English one. */
export type Messages = Texts<typeof en>
export type Operation = Texts<typeof operation>
export type Shell = Texts<typeof shell>
export type Account = Texts<typeof account>
export type Access = Texts<typeof access>
export type Audit = Texts<typeof audit>
export type HistoryTexts = Texts<typeof history>
export type OverviewTexts = Texts<typeof overview>
export type MetricNames = Texts<typeof metric>
export type InventoryTexts = Texts<typeof inventory>
export type RuleTexts = Texts<typeof rule>
export type WallTexts = Texts<typeof wall>
export type ExportTexts = Texts<typeof exports>
type Texts<T> = { [K in keyof T]: T[K] extends string ? string : Texts<T[K]> }

export const LANGUAGES = ['en', 'zh-CN', 'ja-JP'] as const
export type Language = (typeof LANGUAGES)[number]

/** Each language by its own name. */
export const LANGUAGE_NAMES: Record<Language, string> = { en: 'English', 'zh-CN': '简体中文', 'ja-JP': '日本語' }

const sources: Record<Language, () => Promise<[{ default: Messages }, { default: ElementLanguage }]>> = {
  en: () => Promise.all([import('./en'), import('element-plus/es/locale/lang/en')]),
  'zh-CN': () => Promise.all([import('./zh-CN'), import('element-plus/es/locale/lang/zh-cn')]),
  'ja-JP': () => Promise.all([import('./ja-JP'), import('element-plus/es/locale/lang/ja')]),
}

export const i18n = createI18n<[Messages], Language, false>({
  legacy: false,
  locale: 'en',
  missingWarn: false,
  fallbackWarn: false,
})

/** The texts inside of Element Plus's own components. */
export const elementLanguage = shallowRef<ElementLanguage>()

/** Whether `tag` names a language of the dashboard. */
export function isLanguage(tag: string | null): tag is Language {
  return LANGUAGES.some((language) => language === tag)
}

/** The first of the viewer's languages that the dashboard speaks; English when none is. */
export function preferredLanguage(tags: readonly string[]): Language {
  for (const tag of tags) {
    const primary = tag.toLowerCase().split('-')[0]
    const found = LANGUAGES.find((language) => language.toLowerCase().split('-')[0] === primary)
    if (found) return found
  }
  return 'en'
}

/** Makes the texts of `language` available. */
export async function loadMessages(language: Language): Promise<void> {
  const [messages, element] = await sources[language]()
  i18n.global.setLocaleMessage(language, messages.default)
  elementLanguage.value = element.default
}
