import { computed } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { COMPARISONS, parseComparison, type Comparison } from '@/lib/compare'

/** With which earlier span the page's charts are compared, kept in the address. */
export function useComparison() {
  const route = useRoute()
  const router = useRouter()
  const comparison = computed({
    get: () => parseComparison(route.query.compare),
    set: (chosen: Comparison | null) => {
      void router.replace({ query: { ...route.query, compare: chosen ?? undefined } })
    },
  })
  const shift_ms = computed(() => (comparison.value ? COMPARISONS[comparison.value] : 0))
  return { comparison, shift_ms }
}
