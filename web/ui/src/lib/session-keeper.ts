/**
 * Keeps the session of this browser alive: one renewal for all requests and all tabs, then one login for all of them.
 *
 * A refresh token that is used twice ends the whole session, so tabs must take turns: the lock lets one renew, and the
 * time until which the session holds, which all tabs see, tells the others that it has been done.
 */

/** What all tabs of this browser see, like `localStorage`. */
export interface Memory {
  get: () => string | null
  set: (value: string | null) => void
}

export interface Means {
  memory: Memory
  now: () => number
  /** Runs the work while no other tab does. */
  alone: <T>(work: () => Promise<T>) => Promise<T>
  /** Renews the session; gives its length in seconds, or null when the server refuses. */
  renew: () => Promise<number | null>
  /** Has somebody log in; false when nobody does. */
  ask: () => Promise<boolean>
}

/** Renewed this long before its end, so that no request meets it. */
const MARGIN_MS = 30_000

export class SessionKeeper {
  private recovering: Promise<boolean> | undefined

  constructor(private readonly means: Means) {}

  generation(): string {
    return this.means.memory.get() ?? ''
  }

  /** Whether the session is known to be over, or to be so in a moment. */
  stale(): boolean {
    const until_ms = Number.parseInt(this.generation(), 10)
    return Number.isFinite(until_ms) && this.means.now() > until_ms - MARGIN_MS
  }

  /** The session holds for so many seconds from now. */
  renewed(length_s: number): void {
    this.means.memory.set(String(this.means.now() + length_s * 1000))
  }

  /** There is no session any more. */
  forget(): void {
    this.means.memory.set(null)
  }

  /**
   * Renews the session that was `seen` by the request that failed, or has somebody log in. Whoever else asks meanwhile
   * gets the same answer. Fails as the renewal does when the server can't be reached.
   */
  async recover(seen: string, signal?: AbortSignal): Promise<boolean> {
    this.recovering ??= this.recoverOnce(seen).finally(() => {
      this.recovering = undefined
    })
    return signal ? Promise.race([this.recovering, aborted(signal)]) : this.recovering
  }

  private async recoverOnce(seen: string): Promise<boolean> {
    const renewed = await this.means.alone(async () => {
      // Another tab was first.
      if (this.generation() !== seen && this.generation() !== '') return true
      const length_s = await this.means.renew()
      if (length_s === null) return false
      this.renewed(length_s)
      return true
    })
    return renewed || this.means.ask()
  }
}

/** Fails when the request is given up: nobody waits for a login on its behalf. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const give_up = () => {
      reject(new DOMException('given up', 'AbortError'))
    }
    if (signal.aborted) give_up()
    else signal.addEventListener('abort', give_up, { once: true })
  })
}
