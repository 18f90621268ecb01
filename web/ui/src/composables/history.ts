/** The samples of one entity over a range: history from the database, continued by the live feed. */
import { computed, onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { getSeries, serverNow } from '@/api/client'
import { shifted } from '@/lib/compare'
import { ends, fixedText, isFixed, length_ms, refresh_ms, SPAN_MS, type Fixed, type Span } from '@/lib/range'
import { append, emptyTable, fromAnswer, rewind, samplesOf, type LiveSample, type Table } from '@/lib/table'
import { useLive } from '@/stores/live'
import { useNow } from './clock'
import { usePolled } from './polled'

/** The live edge stands this far behind the clock, so that the newest sample is already there when the edge passes it. */
const EDGE_DELAY_MS = 1500

/** `shift_ms` above 0 also fetches the span that long before, and lays it under the present one. */
export function useHistory(entity: string, metrics: string[], range: Readonly<Ref<Span>>, shift_ms: () => number = () => 0) {
  const live = useLive()
  const now_ms = useNow()
  const table = shallowRef<Table>(emptyTable())
  /** The same span of an earlier time; null when none is asked for. */
  const before = shallowRef<Table | null>(null)
  /** The range that `table` holds; differs from `range` while another one is on its way. */
  const shown = shallowRef<Span>(range.value)
  const loaded_to_ms = ref(serverNow())

  async function fetchSpan({ from_ms, to_ms }: Fixed, step: 'raw' | undefined, signal: AbortSignal): Promise<Table> {
    const [from, to] = [new Date(from_ms).toISOString(), new Date(to_ms).toISOString()]
    return fromAnswer(await getSeries({ entity, metrics: metrics.join(','), from, to, step }, signal))
  }

  async function load(signal: AbortSignal): Promise<void> {
    const [asked, shift] = [range.value, shift_ms()]
    const { from_ms, to_ms } = ends(asked, serverNow())
    const step = asked === 'live' ? 'raw' : undefined
    const earlier = { from_ms: from_ms - shift, to_ms: to_ms - shift }
    const [fresh, old] = await Promise.all([
      fetchSpan({ from_ms, to_ms }, step, signal),
      shift > 0 ? fetchSpan(earlier, step, signal) : null,
    ])
    const continued = asked === 'live' && shown.value === 'live' ? samplesOf(table.value) : []
    table.value = append(fresh, continued, metrics, from_ms)
    before.value = old && shifted(old, shift)
    shown.value = asked
    loaded_to_ms.value = to_ms
  }

  const { data, error, loading, reload } = usePolled(
    async (signal) => {
      await load(signal)
      return true
    },
    () => refresh_ms(range.value),
    () => [isFixed(range.value) ? fixedText(range.value) : range.value, shift_ms()].join(),
  )

  function onSample(sample: LiveSample): void {
    if (shown.value !== 'live' || sample.known) return
    table.value = append(rewind(table.value, sample.time), [sample], metrics, serverNow() - SPAN_MS.live)
  }
  onScopeDispose(live.watch(entity, onSample))
  watch(() => live.resumptions, reload)

  const to_ms = computed(() => (shown.value === 'live' ? now_ms.value - EDGE_DELAY_MS : loaded_to_ms.value))
  const from_ms = computed(() => to_ms.value - length_ms(shown.value))
  return { table, before, error, loading, reload, ready: computed(() => data.value !== null), from_ms, to_ms }
}
