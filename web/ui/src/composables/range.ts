import { computed } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { parseRange, type Range } from '@/lib/range'

/** The time range of the page's charts, kept in the address. */
export function useRange() {
  const route = useRoute()
  const router = useRouter()
  return computed({
    get: () => parseRange(route.query.range),
    set: (range: Range) => {
      void router.replace({ query: { ...route.query, range: range === 'live' ? undefined : range } })
    },
  })
}
