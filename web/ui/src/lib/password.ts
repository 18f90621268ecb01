/** The rules of passwords, for showing them while somebody types. The server checks them, and common passwords besides. */

export const MIN_LENGTH = 12
export const MAX_LENGTH = 256
/** From this length on the kinds of characters don't matter. */
const LONG = 16
/** Shorter names may be part of any word. */
const SHORT_NAME = 4
const KINDS = [/\p{Ll}/u, /\p{Lu}/u, /\p{N}/u, /[^\p{Ll}\p{Lu}\p{N}]/u]

export type Rule = 'length' | 'kinds' | 'not_name'

/** Each rule, and whether `password` keeps it. */
export function rules(password: string, name: string): { rule: Rule; kept: boolean }[] {
  const length = Array.from(password).length
  const kinds = KINDS.filter((kind) => kind.test(password)).length
  return [
    { rule: 'length', kept: length >= MIN_LENGTH && length <= MAX_LENGTH },
    { rule: 'kinds', kept: length >= LONG || kinds >= 3 },
    { rule: 'not_name', kept: length > 0 && !(Array.from(name).length >= SHORT_NAME && password.toLowerCase().includes(name.toLowerCase())) },
  ]
}

/** Whether `password` keeps all of them. */
export function acceptable(password: string, name: string): boolean {
  return rules(password, name).every((one) => one.kept)
}
