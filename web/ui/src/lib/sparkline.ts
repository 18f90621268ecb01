/** Small lines without axes, as SVG paths. */
import type { Point } from './lines'

/** The part of the plane that a sparkline shows. */
export interface Box {
  width: number
  height: number
  from_ms: number
  to_ms: number
  /** Value at the top edge. */
  top: number
}

/** An SVG path through the points; it breaks at null and passes over undefined. */
export function sparkPath(times: number[], points: Point[], box: Box): string {
  const parts: string[] = []
  let pen_down = false
  points.forEach((point, row) => {
    if (point === undefined) return
    if (point === null) {
      pen_down = false
      return
    }
    const x = (((times[row] ?? 0) - box.from_ms) / (box.to_ms - box.from_ms)) * box.width
    const y = box.height - (Math.min(point, box.top) / box.top) * box.height
    parts.push(`${pen_down ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`)
    pen_down = true
  })
  return parts.join('')
}
