/** Samples of one entity as columns over common times, and the pure steps from the API's answer to it. */

/** A value, or null where there is none. */
export type Value = number | null
/** One metric's values, aligned with a table's times. */
export type Column = Value[]

/** Missing samples, as the ledger of the server has them. */
export interface Gap {
  from_ms: number
  to_ms: number
  cause: string
  group: string
}

/** Samples of one entity: `columns[metric][i]` was taken at `times[i]` (Unix ms, rising). */
export interface Table {
  times: number[]
  columns: Record<string, Column>
  gaps: Gap[]
}

/** What the live feed brings for one entity. */
export interface LiveSample {
  time: number
  values: Record<string, number>
  /** Not news: the last known values, some of which may be older. The history has them. */
  known?: true
}

/** The part of the answer of `/series` that charts need. */
export interface SeriesAnswer {
  times: number[]
  series: { metric: string; values: (number | null)[] }[]
  gaps: { from: string; to: string; cause: string; group: string }[]
}

/** A table without rows. */
export function emptyTable(): Table {
  return { times: [], columns: {}, gaps: [] }
}

/** The API's answer as a table. */
export function fromAnswer(answer: SeriesAnswer): Table {
  return {
    times: [...answer.times],
    columns: Object.fromEntries(answer.series.map((one) => [one.metric, [...one.values]])),
    gaps: answer.gaps.map((gap) => ({
      from_ms: Date.parse(gap.from),
      to_ms: Date.parse(gap.to),
      cause: gap.cause,
      group: gap.group,
    })),
  }
}

/** Samples of one thing that come out of order differ by less than this, in ms; more means that its host's clock was set back. */
const DISORDER_MS = 5000

/**
 * `table` without the rows that are later than a sample which has just been taken, if the host's clock was set back: what lies
 * ahead of it is another pass through the same time. The history has both.
 */
export function rewind(table: Table, time_ms: number): Table {
  if (time_ms > (table.times.at(-1) ?? -Infinity) - DISORDER_MS) return table
  const rows = table.times.filter((time) => time < time_ms).length
  const columns = Object.entries(table.columns).map(([metric, values]) => [metric, values.slice(0, rows)] as const)
  return { ...table, times: table.times.slice(0, rows), columns: Object.fromEntries(columns) }
}

/**
 * `table` with the samples that are new, without what is older than `from_ms`. What the table has is kept; samples that are late
 * find their place, for parts of one moment may come out of order.
 */
export function append(table: Table, samples: LiveSample[], metrics: string[], from_ms: number): Table {
  const late_ms = (table.times.at(-1) ?? -Infinity) - DISORDER_MS
  const fresh = new Map<number, LiveSample['values']>()
  for (const { time, values } of samples) if (time > late_ms) fresh.set(time, { ...fresh.get(time), ...values })
  const times = [...new Set([...table.times, ...fresh.keys()])].filter((time) => time >= from_ms).sort((a, b) => a - b)
  const rows = new Map(table.times.map((time, row) => [time, row]))
  const columns: Record<string, Column> = {}
  for (const metric of metrics) {
    const known = table.columns[metric] ?? []
    columns[metric] = times.map((time) => known[rows.get(time) ?? -1] ?? fresh.get(time)?.[metric] ?? null)
  }
  return { times, columns, gaps: table.gaps.filter((gap) => gap.to_ms >= from_ms) }
}

/** The rows of `table` as samples, so that a fresh history can be continued with what came live. */
export function samplesOf(table: Table): LiveSample[] {
  return table.times.map((time, row) => {
    const values: Record<string, number> = {}
    for (const [metric, column] of Object.entries(table.columns)) {
      const one = column[row]
      if (one != null) values[metric] = one
    }
    return { time, values }
  })
}

/** A column of the table; all null when it was not asked for. */
export function column(table: Table, metric: string): Column {
  return table.columns[metric] ?? new Array<Value>(table.times.length).fill(null)
}

/** The last value that there is, or null. */
export function lastValue(values: Column): Value {
  for (let row = values.length - 1; row >= 0; row -= 1) {
    const one = values[row]
    if (one != null) return one
  }
  return null
}

/** Each null replaced by the value before it (the first ones by the value after): for what rarely changes, like a size. */
export function carry(values: Column): Column {
  let known: Value = values.find((one) => one != null) ?? null
  return values.map((one) => {
    if (one != null) known = one
    return known
  })
}

/** `f` of the values of each row; null when one of them is. */
export function combine(columns: Column[], f: (...values: number[]) => number | null): Column {
  const rows = columns[0]?.length ?? 0
  const result: Column = []
  for (let row = 0; row < rows; row += 1) {
    const values: number[] = []
    for (const one of columns) {
      const cell = one[row]
      if (cell == null) break
      values.push(cell)
    }
    const outcome = values.length === columns.length ? f(...values) : null
    result.push(outcome != null && Number.isFinite(outcome) ? outcome : null)
  }
  return result
}
