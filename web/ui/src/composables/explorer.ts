/** The question of the history explorer, kept in the address, and the window of time that its charts show. */
import { computed, onScopeDispose, watch } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { serverNow } from '@/api/client'
import { parseQuestion, type Question } from '@/lib/explorer'
import { ends, fixedText, isFixed, parseFixed, type Fixed, type Span } from '@/lib/range'
import { TimeWindow } from '@/lib/window'

export function useExplorer() {
  const route = useRoute()
  const router = useRouter()
  const question = computed<Question>(() => parseQuestion(route.query))

  /** Changes parts of the address; an empty text takes a part out. */
  function change(parts: Record<string, string | undefined>): void {
    const query = Object.entries({ ...route.query, ...parts }).filter(([, value]) => value)
    void router.replace({ query: Object.fromEntries(query) })
  }

  function setSpan(span: Span): void {
    change(isFixed(span) ? { span: fixedText(span) } : { range: span, span: undefined })
  }

  const window = new TimeWindow((moved: Fixed) => {
    void router.push({ query: { ...route.query, span: fixedText(moved) } })
  })
  onScopeDispose(() => {
    window.stop()
  })

  /** Whether the window stands where the address says already: it came from there. */
  function stands(span: Fixed): boolean {
    const own = parseFixed(fixedText(window))
    return own?.from_ms === span.from_ms && own.to_ms === span.to_ms
  }
  watch(
    () => question.value.span,
    (span) => {
      if (!isFixed(span) || !stands(span)) window.show(ends(span, serverNow()))
    },
    { immediate: true },
  )

  /** Back to the range that ends now. */
  function whole(): void {
    if (isFixed(question.value.span)) change({ span: undefined })
    else window.show(ends(question.value.span, serverNow()))
  }

  return { question, change, setSpan, window, whole }
}
