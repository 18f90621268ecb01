/** What a change changed: two JSON values compared, leaf by leaf. */

export type Kind = 'added' | 'removed' | 'changed' | 'same'

export interface Line {
  /** Where in the value: `scope.kind`; empty for the value itself. */
  path: string
  before: string | null
  after: string | null
  kind: Kind
}

function text(value: unknown): string {
  // An empty text would look like none.
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value)
}

/** Lists of simple things read as one value. */
function isLeaf(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) return value.every((one) => typeof one !== 'object' || one === null)
  return Object.keys(value).length === 0
}

function leaves(value: unknown, path: string, into: Map<string, string>): void {
  if (value === null || value === undefined) {
    if (path !== '') into.set(path, 'null')
  } else if (isLeaf(value)) into.set(path, Array.isArray(value) ? value.map(text).join(', ') : text(value))
  else for (const [name, part] of Object.entries(value as object)) leaves(part, path === '' ? name : `${path}.${name}`, into)
}

function flat(value: unknown): Map<string, string> {
  const into = new Map<string, string>()
  leaves(value, '', into)
  return into
}

function kindOf(before: string | undefined, after: string | undefined): Kind {
  if (before === undefined) return 'added'
  if (after === undefined) return 'removed'
  return before === after ? 'same' : 'changed'
}

/** Every leaf of either value, what changed first. */
export function diff(before: unknown, after: unknown): Line[] {
  const old = flat(before)
  const now = flat(after)
  const lines = [...new Set([...old.keys(), ...now.keys()])].map((path) => ({
    path,
    before: old.get(path) ?? null,
    after: now.get(path) ?? null,
    kind: kindOf(old.get(path), now.get(path)),
  }))
  return [...lines.filter((line) => line.kind !== 'same'), ...lines.filter((line) => line.kind === 'same')]
}
