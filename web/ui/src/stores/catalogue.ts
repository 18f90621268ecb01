/** What the metrics mean, in the page's language. */
import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import { listMetrics, type MetricInfo } from '@/api/client'

export const useCatalogue = defineStore('catalogue', () => {
  const metrics = shallowRef(new Map<string, MetricInfo>())

  /** Fetches the catalogue; without it the charts stay usable and merely lack their explanations. */
  async function load(): Promise<void> {
    try {
      const { items } = await listMetrics()
      metrics.value = new Map(items.map((item) => [`${item.kind}/${item.name}`, item]))
    } catch {
      metrics.value = new Map()
    }
  }

  function find(kind: string, name: string): MetricInfo | undefined {
    return metrics.value.get(`${kind}/${name}`)
  }

  return { metrics, load, find }
})
