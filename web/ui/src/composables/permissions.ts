/** The tree of permissions with its explanations in the page's language. */
import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import { listPermissions } from '@/api/access'
import { usePolled } from './polled'

/** It changes with the server's version only. */
const REFRESH_MS = 600_000

export function usePermissions() {
  const { locale } = useI18n()
  const { data, error, reload } = usePolled(listPermissions, () => REFRESH_MS, () => locale.value)
  const tree = computed(() => data.value?.items ?? [])
  /** All names, parents before children. */
  const names = computed(() => {
    const walk = (nodes: typeof tree.value): string[] => nodes.flatMap((node) => [node.name, ...walk(node.children)])
    return walk(tree.value)
  })
  return { tree, names, error, reload }
}
