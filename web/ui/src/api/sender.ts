/**
 * How a request of this page travels: with the session's cookies, with the proof that this page sent it, and once more
 * when the session was over and has been renewed.
 */

/** Whoever keeps the session alive; see {@link SessionKeeper}. */
export interface Keeper {
  /** Changes whenever the session was renewed, by this page or another. */
  generation: () => string
  /** Whether the session is known to be over, or to be so in a moment. */
  stale: () => boolean
  /** Renews the session, or has somebody log in; false when there is none to go on with. */
  recover: (seen: string, signal: AbortSignal) => Promise<boolean>
}

export interface Surroundings {
  fetch: (request: Request) => Promise<Response>
  /** The cookies that scripts may read. */
  cookies: () => string
  /** The language in which the server shall answer. */
  language: () => string
  keeper: () => Keeper | null
}

/** The application code of "not logged in"; others with the same status are answers to what was typed. */
const NOT_LOGGED_IN = 40100
const CSRF_COOKIE = 'vmscope_csrf'
const SAFE_METHODS = ['GET', 'HEAD']
/** Requests that make or end a session: nothing is renewed for them. */
const OUTSIDE = /\/api\/v1\/(setup|auth\/(login|refresh|logout))$/

/** The proof that this page sent a request: a foreign site can't read the cookie that it repeats. */
export function csrfToken(cookies: string): string | null {
  const start = `${CSRF_COOKIE}=`
  const found = cookies.split(/;\s*/).find((one) => one.startsWith(start))
  return found && found.length > start.length ? decodeURIComponent(found.slice(start.length)) : null
}

async function sessionIsOver(response: Response): Promise<boolean> {
  if (response.status !== 401) return false
  try {
    const body: unknown = await response.clone().json()
    return typeof body === 'object' && body !== null && (body as { code?: unknown }).code === NOT_LOGGED_IN
  } catch {
    return false
  }
}

/** A `fetch` for requests to the server of this page. */
export function createSender(around: Surroundings): (request: Request) => Promise<Response> {
  function prepared(request: Request): Request {
    request.headers.set('Accept-Language', around.language())
    const token = csrfToken(around.cookies())
    if (token && !SAFE_METHODS.includes(request.method)) request.headers.set('X-CSRF-Token', token)
    return request
  }

  return async (request) => {
    const keeper = OUTSIDE.test(new URL(request.url).pathname) ? null : around.keeper()
    if (!keeper) return around.fetch(prepared(request))
    if (keeper.stale()) await keeper.recover(keeper.generation(), request.signal)
    const seen = keeper.generation()
    // What was sent once is used up.
    const again = request.clone()
    const response = await around.fetch(prepared(request))
    if (!(await sessionIsOver(response)) || !(await keeper.recover(seen, request.signal))) return response
    return around.fetch(prepared(again))
  }
}
