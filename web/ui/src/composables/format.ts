/** The formatting functions, bound to the page's language. */
import { useI18n } from 'vue-i18n'
import * as format from '@/lib/format'
import type { Unit } from '@/lib/format'

export function useFormat() {
  const { locale, t, te } = useI18n()
  return {
    bytes: (value: number | null | undefined) => format.bytes(value, locale.value),
    count: (value: number | null | undefined) => format.count(value, locale.value),
    whole: (value: number) => format.whole(value, locale.value),
    percent: (value: number | null | undefined) => format.percent(value, locale.value),
    value: (value: number | null | undefined, unit: Unit) => format.value(value, unit, locale.value),
    span: (from_ms: number, to_ms: number) => format.span(from_ms, to_ms, locale.value),
    dateTime: (time_ms: number) => format.dateTime(time_ms, locale.value),
    ago: (time_ms: number, now_ms: number) => format.ago(time_ms, now_ms, locale.value),
    duration: (seconds: number) =>
      format.duration(seconds, { d: t('unit.d'), h: t('unit.h'), min: t('unit.min'), s: t('unit.s') }),
    /** A state's name; one that this page does not know is shown as the server wrote it. */
    state: (state: string | null) =>
      state === null ? t('state.unknown') : te(`state.${state}`) ? t(`state.${state}`) : state,
    /** What a collector does from time to time; work that this page does not know is named as the server wrote it. */
    activity: (name: string) => (te(`activity.${name}`) ? t(`activity.${name}`) : name),
    /** Why samples are missing. */
    cause: (cause: string) => (te(`cause.${cause}`) ? t(`cause.${cause}`) : t('cause.unknown')),
  }
}
