/** What roles get from others. */
import { covers } from './permission'

export type Effect = 'allow' | 'deny'

interface Role {
  id: string
  name: string
  entries: { permission: string; effect: Effect }[]
  parents: string[]
}

/** A rule and the role that has it. */
export interface Inherited {
  permission: string
  effect: Effect
  role: string
}

/** All rules of the roles `from` and of those above them, each role once. */
export function inherited(from: readonly string[], roles: readonly Role[]): Inherited[] {
  const seen = new Set<string>()
  const rules: Inherited[] = []
  const visit = (id: string): void => {
    const role = roles.find((one) => one.id === id)
    if (!role || seen.has(id)) return
    seen.add(id)
    rules.push(...role.entries.map((entry) => ({ permission: entry.permission, effect: entry.effect, role: role.name })))
    role.parents.forEach(visit)
  }
  from.forEach(visit)
  return rules
}

/** Whether one role inherits from another, itself included. */
export function reaches(from: string, to: string, roles: readonly Role[], seen = new Set<string>()): boolean {
  if (from === to) return true
  if (seen.has(from)) return false
  seen.add(from)
  return (roles.find((one) => one.id === from)?.parents ?? []).some((parent) => reaches(parent, to, roles, seen))
}

/** The rule that decides about `permission`: what denies wins. */
export function deciding(permission: string, rules: readonly Inherited[]): Inherited | undefined {
  const about = rules.filter((rule) => covers(rule.permission, permission))
  return about.find((rule) => rule.effect === 'deny') ?? about[0]
}
