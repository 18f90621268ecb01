/** How uPlot draws a chart: axes, lines and shading from the design tokens. */
import type uPlot from 'uplot'
import { axisTop, BINARY_STEPS } from './axis'
import { axisTime, tick, type Unit } from './format'
import { isolated, type ChartGap, type Point } from './lines'

/** A line as the canvas needs it. */
export interface DrawnLine {
  label: string
  colour: number
  dashed: boolean
  filled: boolean
  /** Drawn behind the others: what it was at an earlier time. */
  faint?: boolean
}

/** What does not change with each sample; another value of these means another uPlot. */
export interface Style {
  lines: DrawnLine[]
  unit: Unit
  stacked: boolean
  locale: string
  sync_key: string
  /** The value axis reaches to what is in sight, not to all that there is. */
  fits_sight?: boolean
}

/** What changes with each sample; read again at each drawing. */
export interface Scene {
  points: Point[][]
  gaps: ChartGap[]
  from_ms: number
  to_ms: number
}

export interface Hooks {
  cursor: (row: number | null, left: number) => void
  /** A span was marked by dragging over the chart. */
  marked: (from_ms: number, to_ms: number) => void
}

const AXIS_WIDTH = 54
const TICK_FONT_PX = 11
const RIGHT_PADDING_PX = 10
/** A shorter drag is a click that slipped. */
const LEAST_MARK_PX = 8
const HALF_LABEL_PX = 26
const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
/** Distances between two times on the axis. */
const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * SECOND_MS),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 3, 4, 6, 12, 24, 48].map((hours) => hours * HOUR_MS),
]

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

/** Whether the label of this time would run over the right edge. */
function cutOff(plot: uPlot, time: number): boolean {
  return plot.bbox.width / devicePixelRatio - plot.valToPos(time, 'x') < HALF_LABEL_PX - RIGHT_PADDING_PX
}

function axes(style: Style): uPlot.Axis[] {
  const font = `${TICK_FONT_PX}px ${token('--font')}`
  const common: uPlot.Axis = {
    stroke: token('--text-3'),
    font,
    grid: { stroke: token('--grid'), width: 1 },
    ticks: { show: false },
  }
  return [
    {
      ...common,
      size: 26,
      gap: 6,
      space: 62,
      incrs: TIME_STEPS,
      grid: { show: false },
      values: (plot, splits, _axis, _space, step) =>
        splits.map((time) => (cutOff(plot, time) ? '' : axisTime(time, step, style.locale))),
    },
    {
      ...common,
      size: AXIS_WIDTH,
      gap: 6,
      space: 34,
      incrs: style.unit.startsWith('bytes') ? BINARY_STEPS : undefined,
      values: (_plot, splits) => splits.map((value) => tick(value, style.unit, style.locale)),
    },
  ]
}

const lonely_points = new WeakMap<Point[], number[]>()

/** {@link isolated}, once for each line: a chart that is moved is drawn at every frame. */
function lonely(points: Point[]): number[] {
  const known = lonely_points.get(points)
  if (known) return known
  const found = isolated(points)
  lonely_points.set(points, found)
  return found
}

function series(style: Style, scene: () => Scene): uPlot.Series[] {
  const drawn = style.lines.map((line, index): uPlot.Series => {
    const colour = token(`--series-${line.colour}`)
    const stroke = line.faint ? `${colour}b3` : colour
    return {
      label: line.label,
      stroke,
      // An edge of a layer that is zero would colour the top of the stack.
      width: style.stacked ? 0 : line.faint ? 1.2 : 1.5,
      dash: line.faint ? [2, 3] : line.dashed ? [5, 4] : undefined,
      fill: style.stacked ? `${colour}a6` : line.filled ? `${colour}24` : undefined,
      points: {
        show: () => false,
        size: 4,
        fill: colour,
        filter: () => {
          const found = lonely(scene().points[index] ?? [])
          return found.length > 0 ? found : null
        },
      },
    }
  })
  return [{}, ...drawn]
}

/** Bands between the layers of a stack, so that no layer's colour shines through the next. */
function bands(style: Style): uPlot.Band[] {
  if (!style.stacked) return []
  return style.lines.slice(1).map((line, below) => ({
    series: [below + 2, below + 1],
    fill: `${token(`--series-${line.colour}`)}a6`,
  }))
}

/** The greatest value of the lines shown, also of samples that are still beyond the right edge: the axis must not jump. */
function greatest(plot: uPlot): number | null {
  let most: number | null = null
  plot.series.forEach((one, index) => {
    if (index === 0 || !one.show) return
    for (const point of plot.data[index] ?? []) if (point != null && (most === null || point > most)) most = point
  })
  return most
}

/** A gap of the whole chart is shaded; one of some lines is only marked at the bottom: the others were measured. */
function shade(plot: uPlot, gaps: ChartGap[]): void {
  const { ctx, bbox } = plot
  const left = bbox.left
  const right = bbox.left + bbox.width
  const [area, edge] = [token('--gap'), token('--gap-line')]
  ctx.save()
  for (const gap of gaps) {
    const from = Math.max(left, plot.valToPos(gap.from_ms, 'x', true))
    const to = Math.min(right, Math.max(plot.valToPos(gap.to_ms, 'x', true), from + 2))
    if (to <= left || from >= right) continue
    if (gap.whole) {
      ctx.fillStyle = area
      ctx.fillRect(from, bbox.top, to - from, bbox.height)
    }
    ctx.fillStyle = edge
    ctx.fillRect(from, bbox.top + bbox.height - 3, to - from, 3)
  }
  ctx.restore()
}

/** uPlot's options for this style; `scene` is asked whenever something is drawn. */
export function chartOptions(style: Style, scene: () => Scene, hooks: Hooks, width: number, height: number): uPlot.Options {
  return {
    width,
    height,
    ms: 1,
    padding: [8, RIGHT_PADDING_PX, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { size: 7 },
      drag: { setScale: false, x: true, y: false },
      sync: { key: style.sync_key, scales: ['x', null] },
    },
    scales: {
      x: { time: true, range: () => [scene().from_ms, scene().to_ms] },
      y: { range: (plot, _least, most) => [0, axisTop(style.fits_sight ? (most ?? null) : greatest(plot), style.unit)] },
    },
    axes: axes(style),
    series: series(style, scene),
    bands: bands(style),
    hooks: {
      drawClear: [
        (plot) => {
          shade(plot, scene().gaps)
        },
      ],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
          // Without an event the mark was made over another chart, which this one only follows.
          const own = Boolean((plot.cursor as { event?: MouseEvent | null }).event)
          if (own && width >= LEAST_MARK_PX) hooks.marked(plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x'))
        },
      ],
      setCursor: [
        (plot) => {
          hooks.cursor(plot.cursor.idx ?? null, plot.cursor.left ?? -1)
        },
      ],
    },
  }
}
