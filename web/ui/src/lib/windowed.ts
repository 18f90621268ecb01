/** Which rows of a long list are worth having: those in sight and a few around them. */

/** Rows beyond each edge, so that a turn of the wheel finds them there. */
const AROUND = 12

export interface Rows {
  first: number
  /** After the last. */
  end: number
}

/** The rows of a list whose top is `top_px` below the upper edge of a view of this height. */
export function inSight(top_px: number, view_px: number, row_px: number, total: number): Rows {
  const first = Math.floor(Math.max(0, -top_px) / row_px) - AROUND
  const end = Math.ceil((view_px - top_px) / row_px) + AROUND
  const limit = (row: number) => Math.min(total, Math.max(0, row))
  return { first: limit(first), end: Math.max(limit(first), limit(end)) }
}

/** The pages, from 1, that have these rows. */
export function pagesOf({ first, end }: Rows, page_size: number): number[] {
  const last = Math.max(first, end - 1)
  const from = Math.floor(first / page_size)
  return Array.from({ length: Math.floor(last / page_size) - from + 1 }, (_, at) => from + at + 1)
}
