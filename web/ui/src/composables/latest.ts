/** The newest live values of a changing set of entities, for lists. */
import { onScopeDispose, shallowReactive, watch } from 'vue'
import { useLive } from '@/stores/live'

export function useLatest(entities: () => string[]) {
  const live = useLive()
  const values = shallowReactive(new Map<string, Record<string, number>>())
  const watched = new Map<string, () => void>()

  function leave(entity: string): void {
    watched.get(entity)?.()
    watched.delete(entity)
    values.delete(entity)
  }

  watch(
    entities,
    (wanted) => {
      for (const entity of watched.keys()) if (!wanted.includes(entity)) leave(entity)
      for (const entity of wanted) {
        if (watched.has(entity)) continue
        const stop = live.watch(entity, (sample) => {
          // Metrics come at different intervals: what this sample lacks, an earlier one said.
          values.set(entity, { ...values.get(entity), ...sample.values })
        })
        watched.set(entity, stop)
      }
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    for (const entity of [...watched.keys()]) leave(entity)
  })
  return values
}
