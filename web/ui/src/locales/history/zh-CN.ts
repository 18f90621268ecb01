import type { HistoryTexts } from '..'

export default {
  compare: {
    label: '对比',
    none: '与更早时段对比…',
    h1: '一小时前',
    d1: '一天前',
    d7: '一周前',
    d28: '四周前',
    was: '当时 {value}',
  },
} satisfies HistoryTexts
