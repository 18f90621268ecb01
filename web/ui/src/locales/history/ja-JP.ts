import type { HistoryTexts } from '..'

export default {
  compare: {
    label: '比較',
    none: '以前の期間と比較…',
    h1: '1 時間前',
    d1: '1 日前',
    d7: '1 週間前',
    d28: '4 週間前',
    was: '以前 {value}',
  },
} satisfies HistoryTexts
