/** The state of a list kept in the address: it survives reloading, goes back with "back" and can be sent to a colleague. */
import { computed, onScopeDispose, ref, watch } from 'vue'
import { useRoute, useRouter } from 'vue-router'

/** Typing is looked up when it pauses for this long. */
const TYPING_PAUSE_MS = 250

export function useListQuery(default_sort: string) {
  const route = useRoute()
  const router = useRouter()

  function text(name: string): string {
    const value = route.query[name]
    return typeof value === 'string' ? value : ''
  }

  /** Changes part of the address; what equals its default is left out. Every change but that of the page leads to page 1. */
  function change(values: Record<string, string>): void {
    const query = { ...route.query, page: undefined, ...values }
    const kept = Object.entries(query).filter(([name, value]) => value && !(name === 'sort' && value === default_sort))
    void router.replace({ query: Object.fromEntries(kept) })
  }

  const parameter = (name: string) =>
    computed({
      get: () => text(name),
      set: (value: string | undefined) => {
        change({ [name]: value ?? '' })
      },
    })

  const sort = computed({
    get: () => text('sort') || default_sort,
    set: (value: string) => {
      change({ sort: value })
    },
  })
  const page = computed({
    get: () => Math.max(1, Number.parseInt(text('page'), 10) || 1),
    set: (value: number) => {
      change({ page: value > 1 ? String(value) : '' })
    },
  })

  const search = ref(text('q'))
  let pause: ReturnType<typeof setTimeout> | undefined
  watch(search, (value) => {
    clearTimeout(pause)
    if (value === text('q')) return
    pause = setTimeout(() => {
      change({ q: value.trim() })
    }, TYPING_PAUSE_MS)
  })
  watch(
    () => text('q'),
    (value) => {
      if (value !== search.value.trim()) search.value = value
    },
  )
  onScopeDispose(() => {
    clearTimeout(pause)
  })

  function clear(): void {
    search.value = ''
    void router.replace({ query: {} })
  }

  return { text, change, q: computed(() => text('q')), search, sort, page, parameter, clear }
}
