/** The machines of the live wall, and what their tiles show: filled from history, then from the feed, drawn once a second. */
import { computed, onScopeDispose, shallowRef, watch } from 'vue'
import { ApiError, serverNow } from '@/api/client'
import { queryHistory } from '@/api/history'
import { getMachine, listMachines, type Machine } from '@/api/inventory'
import { MOST_TILES, SHOWN, Trail, WALL_SPAN_MS, type Values, type WallMetric, type WallOf } from '@/lib/wall'
import { useLive } from '@/stores/live'
import { useNow } from './clock'
import { usePolled } from './polled'

/** Names and states come from the list; their figures are live. */
const REFRESH_MS = 10_000
const HISTORY_STEP_S = 5

export interface WallQuestion {
  of: WallOf
  group: string
  picked: string[]
  metric: WallMetric
}

async function find({ of, group, picked }: WallQuestion, signal: AbortSignal): Promise<{ items: Machine[]; total: number }> {
  if (of === 'picked') {
    const items = await Promise.all(picked.slice(0, MOST_TILES).map((id) => getMachine(id, signal)))
    return { items, total: picked.length }
  }
  return listMachines({ sort: 'name', page: 1, page_size: MOST_TILES, ...(of === 'group' && { group }) }, signal)
}

export function useWall(question: () => WallQuestion) {
  const live = useLive()
  const now_ms = useNow()
  const complete = computed(() => question().of === 'all' || (question().of === 'group' ? question().group !== '' : question().picked.length > 0))
  const key = () => JSON.stringify({ ...question(), metric: undefined })
  const { data, error, reload } = usePolled(
    async (signal) => (complete.value ? await find(question(), signal) : { items: [], total: 0 }),
    () => REFRESH_MS,
    key,
  )
  const machines = computed(() => data.value?.items ?? [])

  /** What each machine said last of each metric, and the line of what is shown. */
  const values = new Map<string, Values>()
  const trails = shallowRef(new Map<string, Trail>())

  function trailOf(entity: string): Trail {
    const known = trails.value.get(entity)
    if (known) return known
    const fresh = new Trail()
    trails.value.set(entity, fresh)
    return fresh
  }

  function onSample(vm: Machine, time: number, said: Values): void {
    const entity = `vm:${vm.id}`
    const all = { ...values.get(entity), ...said }
    values.set(entity, all)
    const { needs, of } = SHOWN[question().metric]
    // Metrics come at different intervals: only a sample with what is shown is news.
    if (!needs.some((name) => name in said)) return
    const value = of(all, vm.vcpus)
    if (value !== null) trailOf(entity).push(time, value)
  }

  const watched = new Map<string, () => void>()
  watch(machines, (list) => {
    const wanted = new Map(list.filter((vm) => !vm.manual).map((vm) => [`vm:${vm.id}`, vm]))
    for (const [entity, stop] of watched) {
      if (wanted.has(entity)) continue
      stop()
      watched.delete(entity)
    }
    for (const [entity, vm] of wanted) {
      if (watched.has(entity)) continue
      watched.set(
        entity,
        live.watch(entity, ({ time, values: said }) => {
          onSample(vm, time, said)
        }),
      )
    }
  })
  onScopeDispose(() => {
    for (const stop of watched.values()) stop()
  })

  /** The minutes before this page was opened. Without them the lines merely begin now. */
  async function fill(): Promise<void> {
    const { metric } = question()
    const list = machines.value.filter((vm) => !vm.manual)
    if (list.length === 0) return
    const to_ms = serverNow()
    try {
      const answer = await queryHistory({
        kind: 'vm',
        entities: list.map((vm) => `vm:${vm.id}`),
        metrics: SHOWN[metric].needs,
        from: new Date(to_ms - WALL_SPAN_MS).toISOString(),
        to: new Date(to_ms).toISOString(),
        step: HISTORY_STEP_S,
      })
      if (metric !== question().metric) return
      for (const vm of list) {
        const own = answer.series.filter((one) => one.entity.id === `vm:${vm.id}`)
        const shown = answer.times.map((_, row) => {
          const said = Object.fromEntries(own.flatMap((one) => (one.values[row] == null ? [] : [[one.metric, one.values[row]]])))
          return SHOWN[metric].of(said as Values, vm.vcpus)
        })
        trailOf(`vm:${vm.id}`).before(answer.times, shown)
      }
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause
    }
  }
  watch([() => machines.value.map((vm) => vm.id).join(), () => question().metric], () => {
    trails.value = new Map()
    void fill()
  })

  const tiles = computed(() =>
    machines.value.map((vm) => {
      const trail = trails.value.get(`vm:${vm.id}`)
      const from_ms = now_ms.value - WALL_SPAN_MS
      return { vm, value: trail?.last(now_ms.value) ?? null, line: trail?.line(from_ms) ?? { times: [], points: [] }, from_ms, to_ms: now_ms.value }
    }),
  )
  return { tiles, total: computed(() => data.value?.total ?? 0), ready: computed(() => data.value !== null), complete, error, reload, now_ms }
}
