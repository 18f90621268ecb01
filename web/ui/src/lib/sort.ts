/** The order of a list as the server reads it: columns by weight, `-` for falling. */

export type Direction = 'ascending' | 'descending' | 'none'

const columns = (sort: string) => sort.split(',').filter(Boolean)
const bare = (one: string) => one.replace(/^-/, '')

/** How a list is ordered by a column. */
export function direction(sort: string, column: string): Direction {
  const found = columns(sort).find((one) => bare(one) === column)
  return found === undefined ? 'none' : found.startsWith('-') ? 'descending' : 'ascending'
}

/** The weight of a column, from 1; 0 when it has none, or is the only one. */
export function weight(sort: string, column: string): number {
  const all = columns(sort)
  return all.length < 2 ? 0 : all.findIndex((one) => bare(one) === column) + 1
}

/** The order after a click on a column: by it alone, rising first; with `also` beside the columns that were chosen before. */
export function turned(sort: string, column: string, also: boolean): string {
  const next = direction(sort, column) === 'ascending' ? `-${column}` : column
  if (!also) return next
  const all = columns(sort)
  return (all.some((one) => bare(one) === column) ? all.map((one) => (bare(one) === column ? next : one)) : [...all, next]).join(',')
}
