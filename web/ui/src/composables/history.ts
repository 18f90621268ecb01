/** The samples of one entity over a range: history from the database, continued by the live feed. */
import { computed, onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { getSeries, serverNow } from '@/api/client'
import { SPAN_MS, refresh_ms, type Range } from '@/lib/range'
import { append, emptyTable, fromAnswer, rewind, samplesOf, type LiveSample, type Table } from '@/lib/table'
import { useLive } from '@/stores/live'
import { useNow } from './clock'
import { usePolled } from './polled'

/** The live edge stands this far behind the clock, so that the newest sample is already there when the edge passes it. */
const EDGE_DELAY_MS = 1500

export function useHistory(entity: string, metrics: string[], range: Readonly<Ref<Range>>) {
  const live = useLive()
  const now_ms = useNow()
  const table = shallowRef<Table>(emptyTable())
  /** The range that `table` holds; differs from `range` while another one is on its way. */
  const shown = ref<Range>(range.value)
  const loaded_to_ms = ref(serverNow())

  async function load(signal: AbortSignal): Promise<void> {
    const asked = range.value
    const to_ms = serverNow()
    const answer = await getSeries(
      {
        entity,
        metrics: metrics.join(','),
        from: new Date(to_ms - SPAN_MS[asked]).toISOString(),
        to: new Date(to_ms).toISOString(),
        step: asked === 'live' ? 'raw' : undefined,
      },
      signal,
    )
    const fresh = fromAnswer(answer)
    const continued = asked === 'live' && shown.value === 'live' ? samplesOf(table.value) : []
    table.value = append(fresh, continued, metrics, to_ms - SPAN_MS[asked])
    shown.value = asked
    loaded_to_ms.value = to_ms
  }

  const { data, error, loading, reload } = usePolled(
    async (signal) => {
      await load(signal)
      return true
    },
    () => refresh_ms(range.value),
    () => range.value,
  )

  function onSample(sample: LiveSample): void {
    if (shown.value !== 'live' || sample.known) return
    table.value = append(rewind(table.value, sample.time), [sample], metrics, serverNow() - SPAN_MS.live)
  }
  onScopeDispose(live.watch(entity, onSample))
  watch(() => live.resumptions, reload)

  const to_ms = computed(() => (shown.value === 'live' ? now_ms.value - EDGE_DELAY_MS : loaded_to_ms.value))
  const from_ms = computed(() => to_ms.value - SPAN_MS[shown.value])
  return { table, error, loading, reload, ready: computed(() => data.value !== null), from_ms, to_ms }
}
