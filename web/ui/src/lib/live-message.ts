/** What is said on the live WebSocket: see `ClientMessage` and `ServerMessage` in the API's description. */

/** Values of one entity, at Unix milliseconds. */
export interface EntitySample {
  entity: string
  time: number
  values: Record<string, number>
}

export type ServerMessage =
  | { type: 'hello'; session: string; resume: string; resume_s: number; ping_s: number }
  | { type: 'subscribed'; entities: string[] }
  | { type: 'group'; group: string; entities: string[]; more: number }
  | { type: 'snapshot'; samples: EntitySample[]; complete: boolean }
  | ({ type: 'sample' } & EntitySample)
  | { type: 'feed'; connected: boolean }
  | { type: 'resumed'; ok: boolean }
  | { type: 'ping' }
  | { type: 'pong' }
  | { type: 'error'; code: number; message: string }

export type ClientMessage =
  | { type: 'subscribe' | 'unsubscribe'; entities: string[] }
  | { type: 'resume'; token: string }
  | { type: 'ping' }
  | { type: 'pong' }

/** A message of the server; null for what cannot be one (a newer server may say more than this page knows). */
export function parse(text: unknown): ServerMessage | null {
  if (typeof text !== 'string') return null
  try {
    const message: unknown = JSON.parse(text)
    return typeof message === 'object' && message !== null && 'type' in message ? (message as ServerMessage) : null
  } catch {
    return null
  }
}
