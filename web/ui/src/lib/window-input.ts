/** Pointer, wheel, touch and keys over a chart, as moves of the window of time. */
import type { TimeWindow } from './window'

const WHEEL_ZOOM = 0.0022
const KEY_ZOOM = 0.7
const KEY_PAN = 0.1

/** Where over the chart something is: 0 left, 1 right. */
function place(over: HTMLElement, client_x: number): number {
  const { left, width } = over.getBoundingClientRect()
  return Math.min(1, Math.max(0, (client_x - left) / Math.max(1, width)))
}

function wheel(over: HTMLElement, window: TimeWindow): (event: WheelEvent) => void {
  return (event) => {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.shiftKey ? event.deltaY : 0
    // Without a key the wheel scrolls the page, as everywhere.
    if (!event.ctrlKey && !event.metaKey && sideways === 0) return
    event.preventDefault()
    if (sideways !== 0) window.pan(sideways / over.clientWidth)
    else window.zoom(Math.exp(event.deltaY * WHEEL_ZOOM), place(over, event.clientX))
  }
}

/** Fingers: one moves, two also stretch. A mouse moves while Shift is held; without it, it marks. */
function drag(over: HTMLElement, window: TimeWindow): { down: (event: PointerEvent) => void; stop: () => void } {
  const at = new Map<number, number>()

  function move(event: PointerEvent): void {
    const before = at.get(event.pointerId)
    if (before === undefined) return
    const other = [...at].find(([id]) => id !== event.pointerId)?.[1]
    at.set(event.pointerId, event.clientX)
    if (other === undefined) window.pan((before - event.clientX) / over.clientWidth)
    else stretch(Math.abs(before - other), Math.abs(event.clientX - other), other)
  }

  function stretch(was: number, is: number, other: number): void {
    if (was > 10 && is > 10) window.zoom(was / is, place(over, other))
  }

  function up(event: PointerEvent): void {
    at.delete(event.pointerId)
    if (at.size === 0) stop()
  }

  function stop(): void {
    at.clear()
    document.removeEventListener('pointermove', move)
    document.removeEventListener('pointerup', up)
    document.removeEventListener('pointercancel', up)
  }

  function down(event: PointerEvent): void {
    if (event.pointerType !== 'touch' && !(event.shiftKey && event.button === 0)) return
    at.set(event.pointerId, event.clientX)
    document.addEventListener('pointermove', move)
    document.addEventListener('pointerup', up)
    document.addEventListener('pointercancel', up)
  }
  return { down, stop }
}

/** What a key does; false when it does nothing here. */
export function onKey(key: string, window: TimeWindow): boolean {
  if (key === 'ArrowLeft') window.pan(-KEY_PAN)
  else if (key === 'ArrowRight') window.pan(KEY_PAN)
  else if (key === '+' || key === '=') window.zoom(KEY_ZOOM, 0.5)
  else if (key === '-') window.zoom(1 / KEY_ZOOM, 0.5)
  else return false
  return true
}

/** Lets what happens over `over` move the window, until the returned function is called. */
export function listen(over: HTMLElement, window: TimeWindow): () => void {
  const onWheel = wheel(over, window)
  const { down, stop } = drag(over, window)
  // uPlot marks with the mouse: not while Shift is held.
  const keep = (event: MouseEvent) => {
    if (event.shiftKey) event.stopImmediatePropagation()
  }
  over.style.touchAction = 'pan-y'
  over.addEventListener('wheel', onWheel, { passive: false })
  over.addEventListener('pointerdown', down)
  over.addEventListener('mousedown', keep, true)
  return () => {
    stop()
    over.removeEventListener('wheel', onWheel)
    over.removeEventListener('pointerdown', down)
    over.removeEventListener('mousedown', keep, true)
  }
}
