/** What a person may do, as far as the menu and the buttons need to know. The server decides. */

/** A permission and where it holds. */
export interface Held {
  permission: string
  scope: { kind: string; id?: string | null }
}

/** Every permission at once. */
export const EVERYTHING = '*'

/** Whether a permission includes another: `vm` covers `vm.read`, `*` covers all. */
export function covers(held: string, wanted: string): boolean {
  return held === EVERYTHING || held === wanted || wanted.startsWith(`${held}.`)
}

/** Whether something is allowed somewhere: enough for a menu entry. */
export function maySomewhere(held: readonly Held[], wanted: string): boolean {
  return held.some((one) => covers(one.permission, wanted))
}

/** Whether something is allowed everywhere. */
export function mayEverywhere(held: readonly Held[], wanted: string): boolean {
  return held.some((one) => one.scope.kind === 'all' && covers(one.permission, wanted))
}

/** Whether something is allowed within one group of VMs. */
export function mayInGroup(held: readonly Held[], wanted: string, group: string): boolean {
  return held.some(
    (one) => covers(one.permission, wanted) && (one.scope.kind === 'all' || (one.scope.kind === 'group' && one.scope.id === group)),
  )
}

/** Without what another one of the same scope includes: `*` alone says all. */
export function condensed<T extends Held>(held: readonly T[]): T[] {
  const same = (a: Held, b: Held) => a.scope.kind === b.scope.kind && (a.scope.id ?? null) === (b.scope.id ?? null)
  return held.filter((one) => !held.some((other) => other.permission !== one.permission && same(one, other) && covers(other.permission, one.permission)))
}
