/** How an account is. */
import type { Tone } from './state'

export type AccountState = 'active' | 'locked' | 'disabled'

interface Account {
  disabled_at?: string | null
  locked_until?: string | null
}

export const ACCOUNT_TONES: Record<AccountState, Tone> = { active: 'good', locked: 'warn', disabled: 'idle' }

export function accountState(account: Account, now_ms: number): AccountState {
  if (account.disabled_at) return 'disabled'
  return account.locked_until && Date.parse(account.locked_until) > now_ms ? 'locked' : 'active'
}
