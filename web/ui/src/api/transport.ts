/** The one way to the server: unwraps the envelope, and turns every failure into an {@link ApiError}. */
import createClient from 'openapi-fetch'
import type { paths } from './schema'
import { createSender, type Keeper } from './sender'

/** Code of an {@link ApiError} when the server could not be reached at all. */
export const UNREACHABLE = -1

/** Application codes on which the dashboard acts. */
export const CODE = {
  FIELDS: 40003,
  WRONG_CREDENTIALS: 40101,
  SECOND_FACTOR_NEEDED: 40102,
  PERMISSION_MISSING: 40301,
  LOCKED: 42901,
} as const

/** What is wrong with one field of what was sent. */
export interface FieldProblem {
  field: string
  code: string
  message: string
  /** Where in the text, in characters from 0; for what has an inside. */
  position?: number
}

/** A refused or failed request. */
export class ApiError extends Error {
  override readonly name = 'ApiError'

  constructor(
    /** Application code of the envelope, or {@link UNREACHABLE}. */
    readonly code: number,
    /** HTTP status; 0 when there was no answer. */
    readonly status: number,
    message: string,
    /** Finds the request in the server's log. */
    readonly request_id: string | null,
    /** What is wrong with single fields. */
    readonly fields: readonly FieldProblem[] = [],
    /** Seconds after which it may be tried again, when the server said so. */
    readonly retry_after_s: number | null = null,
  ) {
    super(message)
  }

  /** Whether the thing asked for does not exist. */
  get missing(): boolean {
    return this.status === 404
  }

  /** Whether it would be refused again, as long as nobody grants the permission. */
  get denied(): boolean {
    return this.code === CODE.PERMISSION_MISSING
  }
}

let language = 'en'
let clock_offset_ms = 0
let keeper: Keeper | null = null
let onDenied: () => void = () => undefined

/** Asks for messages and help texts in this language from now on. */
export function setApiLanguage(tag: string): void {
  language = tag
}

/** From now on this one renews the session, and hears of refusals for want of a permission. */
export function keepSession(by: Keeper, denied: () => void): void {
  keeper = by
  onDenied = denied
}

/** The time of the server, as far as its answers tell: what `from` and `to` are reckoned from. */
export function serverNow(): number {
  return Date.now() + clock_offset_ms
}

function learnClock(response: Response): void {
  const sent = Date.parse(response.headers.get('Date') ?? '')
  // The header has whole seconds: smaller differences mean nothing.
  if (Number.isFinite(sent)) clock_offset_ms = Math.abs(sent - Date.now()) > 2000 ? sent - Date.now() : 0
}

const send = createSender({
  fetch: (request) => fetch(request),
  cookies: () => document.cookie,
  language: () => language,
  keeper: () => keeper,
})

export const client = createClient<paths>({ baseUrl: location.origin, fetch: send })
client.use({
  onResponse({ response }) {
    learnClock(response)
  },
})

interface Answer<T> {
  /** What only confirms that something was done carries no data. */
  data?: { code: number; data?: T }
  error?: unknown
  response: Response
}

interface Refusal {
  code?: unknown
  message?: unknown
  data?: { fields?: FieldProblem[] } | null
}

function refusal(answer: { error?: unknown; response: Response }): ApiError {
  const { error, response } = answer
  const body: Refusal = typeof error === 'object' && error !== null ? error : {}
  const wait_s = Number.parseInt(response.headers.get('Retry-After') ?? '', 10)
  return new ApiError(
    typeof body.code === 'number' ? body.code : response.status * 100,
    response.status,
    typeof body.message === 'string' ? body.message : response.statusText,
    response.headers.get('X-Request-Id'),
    body.data?.fields ?? [],
    Number.isFinite(wait_s) ? wait_s : null,
  )
}

/** What a request says beside its address. */
export interface Asked {
  params?: { path?: Record<string, string>; query?: Record<string, unknown> }
  body?: unknown
  signal?: AbortSignal
}

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'

/** A request whose answer the caller knows: the name of the address is not held against the API's document. */
export function ask<T>(method: Method, path: string, asked: Asked = {}): Promise<T> {
  const request = client.request as unknown as (method: Method, path: string, asked: Asked) => Promise<Answer<T>>
  return unwrap(request(method, path, asked))
}

/** What the server answered, out of its envelope. */
export async function unwrap<T>(request: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>
  try {
    answer = await request
  } catch (cause) {
    if (cause instanceof ApiError || (cause instanceof DOMException && cause.name === 'AbortError')) throw cause
    throw new ApiError(UNREACHABLE, 0, cause instanceof Error ? cause.message : String(cause), null)
  }
  if (answer.data) return answer.data.data as T
  const refused = refusal(answer)
  if (refused.denied) onDenied()
  throw refused
}
