/** The figures of VMs in lists: what the server told last, and what comes live. */
import { useI18n } from 'vue-i18n'
import type { Machine } from '@/api/inventory'
import { useFormat } from './format'

export function useVmFigures() {
  const { t, te } = useI18n()
  const { bytes, percent, value } = useFormat()

  function sourceName(source: string | null): string | undefined {
    return source && te(`source.${source}`) ? `${t('fact.memory_source')}: ${t(`source.${source}`)}` : undefined
  }

  return (vm: Pick<Machine, 'vcpus' | 'memory_used_bytes' | 'memory_used_source' | 'memory_maximum_bytes'>, live: Record<string, number> | undefined) => {
    const cores = live?.cpu_time_ns
    const cpu = cores !== undefined && vm.vcpus ? cores / vm.vcpus : null
    const used = live?.memory_used_bytes ?? vm.memory_used_bytes
    const traffic = live?.net_rx_bytes === undefined ? null : live.net_rx_bytes + (live.net_tx_bytes ?? 0)
    return {
      cpu,
      cpu_text: percent(cpu === null ? null : cpu * 100),
      memory_text: bytes(used),
      // A process on the host is no part of the guest's memory, and may be larger.
      memory_share: used !== null && vm.memory_maximum_bytes && vm.memory_used_source !== 'rss' ? used / vm.memory_maximum_bytes : null,
      memory_title: sourceName(vm.memory_used_source),
      network: value(traffic, 'bytes/s'),
    }
  }
}
