/** A list of any length of which only the pages in sight are fetched, again and again. */
import { computed, onBeforeUnmount, onMounted, ref, shallowRef, watch, type Ref } from 'vue'
import type { Page } from '@/api/client'
import { inSight, pagesOf, type Rows } from '@/lib/windowed'
import { usePolled } from './polled'

/** While somebody scrolls fast, pages are fetched this often, in ms. */
const SCROLL_PAUSE_MS = 120

interface Known<T> {
  key: string
  total: number
  pages: Map<number, T[]>
}

/**
 * `fetch` gets one page; `key` says which list it is: what is known of another one stays in sight until this one's
 * answer is there. `body` is the element whose rows, each `row_px` high, are the list.
 */
export function useWindowedList<T>(
  fetch: (page: number, page_size: number, signal: AbortSignal) => Promise<Page<T>>,
  key: () => string,
  body: Readonly<Ref<HTMLElement | null>>,
  row_px: () => number,
  options: { page_size: number; refresh_ms: number },
) {
  const known = shallowRef<Known<T>>({ key: '', total: 0, pages: new Map() })
  const sight = ref<Rows>({ first: 0, end: 1 })
  const wanted = ref<number[]>([1])

  const { data, error, reload } = usePolled(
    async (signal) => {
      const asked = key()
      const pages = await Promise.all(wanted.value.map(async (page) => [page, await fetch(page, options.page_size, signal)] as const))
      const kept = known.value.key === asked ? known.value.pages : new Map<number, T[]>()
      const total = pages[0]?.[1].total ?? 0
      known.value = { key: asked, total, pages: new Map([...kept, ...pages.map(([page, { items }]) => [page, items] as const)]) }
      return true
    },
    () => options.refresh_ms,
    () => [key(), wanted.value.join()].join('|'),
  )

  function look(): void {
    const top = body.value?.getBoundingClientRect().top ?? 0
    sight.value = inSight(top, window.innerHeight, row_px(), known.value.total)
  }

  let pause: ReturnType<typeof setTimeout> | undefined
  function onScroll(): void {
    look()
    pause ??= setTimeout(() => {
      pause = undefined
      const next = pagesOf(sight.value, options.page_size)
      if (next.join() !== wanted.value.join()) wanted.value = next
    }, SCROLL_PAUSE_MS)
  }

  onMounted(() => {
    window.addEventListener('scroll', onScroll, { passive: true })
    window.addEventListener('resize', onScroll)
  })
  onBeforeUnmount(() => {
    clearTimeout(pause)
    window.removeEventListener('scroll', onScroll)
    window.removeEventListener('resize', onScroll)
  })
  watch([known, body], onScroll, { flush: 'post' })
  watch(key, () => {
    // Another list begins at its beginning.
    wanted.value = [1]
    if ((body.value?.getBoundingClientRect().top ?? 0) < 0) window.scrollTo({ top: 0 })
  })

  /** The rows in sight; undefined where a row is still on its way. */
  const rows = computed(() => {
    const { first, end } = sight.value
    return Array.from({ length: Math.max(0, Math.min(end, known.value.total) - first) }, (_, at) => {
      const row = first + at
      const page = Math.floor(row / options.page_size)
      return { row, item: known.value.pages.get(page + 1)?.[row - page * options.page_size] }
    })
  })
  const above_px = computed(() => sight.value.first * row_px())
  const below_px = computed(() => Math.max(0, known.value.total - sight.value.first - rows.value.length) * row_px())

  return { rows, above_px, below_px, total: computed(() => known.value.total), ready: computed(() => data.value !== null), error, reload }
}
