/** What the audit calls things, in the page's language; what this page does not know is shown as the server wrote it. */
import { useI18n } from 'vue-i18n'
import type { AuditEntry } from '@/api/access'

export function useAuditName() {
  const { t, te } = useI18n()
  return {
    action: (action: string) => (te(`action.${action}`) ? t(`action.${action}`) : action),
    result: (result: string) => (te(`audit.${result}`) ? t(`audit.${result}`) : result),
    kind: (kind: string) => (te(`target.${kind}`) ? t(`target.${kind}`) : kind),
    /** A denied request has the missing permission as its name. */
    target: (entry: AuditEntry) =>
      entry.target_kind === 'route'
        ? [entry.target_id, entry.target_name].filter(Boolean).join(' · ')
        : entry.target_name || entry.target_id || '',
    actor: (entry: AuditEntry) => entry.actor_name || t('audit.anonymous'),
  }
}
