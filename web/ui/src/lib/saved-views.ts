/** Views of a list under names: what its address says, kept in this browser. */

export interface SavedView {
  name: string
  /** The part of the address behind the question mark. */
  query: string
}

const MOST_VIEWS = 50
const LONGEST_NAME = 60

/** The views that a text from the storage tells of; none when it is damaged. */
export function parseViews(text: string | null): SavedView[] {
  try {
    const found: unknown = JSON.parse(text ?? '[]')
    if (!Array.isArray(found)) return []
    return found.flatMap((one: unknown) => {
      const { name, query } = (one ?? {}) as Partial<Record<keyof SavedView, unknown>>
      return typeof name === 'string' && name !== '' && typeof query === 'string' ? [{ name, query }] : []
    })
  } catch {
    return []
  }
}

/** The views with one more, by name; one of the same name is replaced. */
export function withView(views: readonly SavedView[], view: SavedView): SavedView[] {
  const name = view.name.trim().slice(0, LONGEST_NAME)
  if (name === '') return [...views]
  const others = views.filter((one) => one.name !== name)
  return [...others, { name, query: view.query }].sort((a, b) => a.name.localeCompare(b.name)).slice(0, MOST_VIEWS)
}
