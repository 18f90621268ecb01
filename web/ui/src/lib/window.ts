/** The window of time that charts beside each other show together; it moves at every frame, so it is not reactive. */
import { zoomed } from './explorer'
import type { Fixed } from './range'

/** Nothing shorter is shown, in ms. */
const LEAST_MS = 5000
const LONGEST_MS = 10 * 366 * 86_400_000
/** A window that rests for this long is what is wanted, in ms. */
const REST_MS = 350

export class TimeWindow {
  from_ms = 0
  to_ms = 1
  private readonly drawers = new Set<() => void>()
  private frame = 0
  private rest: ReturnType<typeof setTimeout> | undefined

  /** `settled` hears of the window when somebody has moved it and lets it rest. */
  constructor(private readonly settled: (window: Fixed) => void) {}

  /** Calls `draw` at most once a frame while the window moves, until the returned function is called. */
  onMove(draw: () => void): () => void {
    this.drawers.add(draw)
    return () => {
      this.drawers.delete(draw)
    }
  }

  /** Shows this; nobody moved it. */
  show({ from_ms, to_ms }: Fixed): void {
    this.stop()
    this.from_ms = from_ms
    this.to_ms = to_ms
    this.draw()
  }

  /** Shows a part of what is shown, or more; `at` stays in place (0 left edge, 1 right edge). */
  zoom(factor: number, at: number): void {
    const next = zoomed(this.from_ms, this.to_ms, factor, at)
    const length = next.to_ms - next.from_ms
    if (length < LEAST_MS || length > LONGEST_MS) return
    this.move(next)
  }

  /** Moves by this share of its length; positive is later. */
  pan(share: number): void {
    const by = (this.to_ms - this.from_ms) * share
    this.move({ from_ms: this.from_ms + by, to_ms: this.to_ms + by })
  }

  /** Moves there, as somebody wants it. */
  move({ from_ms, to_ms }: Fixed): void {
    this.from_ms = from_ms
    this.to_ms = to_ms
    this.draw()
    clearTimeout(this.rest)
    this.rest = setTimeout(() => {
      this.settled({ from_ms: this.from_ms, to_ms: this.to_ms })
    }, REST_MS)
  }

  /** Forgets that somebody moved it. */
  stop(): void {
    clearTimeout(this.rest)
    cancelAnimationFrame(this.frame)
    this.frame = 0
  }

  private draw(): void {
    if (this.frame !== 0) return
    this.frame = requestAnimationFrame(() => {
      this.frame = 0
      for (const draw of this.drawers) draw()
    })
  }
}
