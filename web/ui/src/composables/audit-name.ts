/** What the audit calls things, in the page's language; what this page does not know is shown as the server wrote it. */
import { useI18n } from 'vue-i18n'
import type { AuditEntry } from '@/api/access'
import { browserName } from '@/lib/user-agent'

/** A denied request has the missing permission as its name, a session its browser's long one. */
function target(entry: AuditEntry): string {
  const name = entry.target_name ?? ''
  if (entry.target_kind === 'route') return [entry.target_id, name].filter(Boolean).join(' · ')
  return (entry.target_kind === 'session' ? browserName(name) : name) || (entry.target_id ?? '')
}

export function useAuditName() {
  const { t, te } = useI18n()
  return {
    action: (action: string) => (te(`action.${action}`) ? t(`action.${action}`) : action),
    result: (result: string) => (te(`audit.${result}`) ? t(`audit.${result}`) : result),
    kind: (kind: string) => (te(`target.${kind}`) ? t(`target.${kind}`) : kind),
    target,
    actor: (entry: AuditEntry) => entry.actor_name || t('audit.anonymous'),
  }
}
