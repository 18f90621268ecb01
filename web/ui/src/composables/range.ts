import { computed } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { fixedText, isFixed, parseSpan, type Fixed, type Span } from '@/lib/range'

/** The span of time of the page's charts, kept in the address. */
export function useRange() {
  const route = useRoute()
  const router = useRouter()
  const span = computed({
    get: () => parseSpan(route.query.range, route.query.span),
    set: (next: Span) => {
      const kept = { ...route.query, range: undefined, span: undefined }
      const named = isFixed(next) ? { span: fixedText(next) } : { range: next === 'live' ? undefined : next }
      void router.replace({ query: { ...kept, ...named } })
    },
  })

  /** Shows a part of what is shown; "back" leads to the whole again. */
  function zoom(part: Fixed): void {
    void router.push({ query: { ...route.query, span: fixedText(part) } })
  }

  /** Back to the range that ends now. */
  function whole(): void {
    if (isFixed(span.value)) void router.replace({ query: { ...route.query, span: undefined } })
  }

  return { span, zoom, whole }
}
