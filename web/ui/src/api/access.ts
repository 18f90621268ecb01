/** People, what they may do, and what they did. */
import type { Access, AuditPage, AuditQuery, Credentials, Decision, Grant, Group, GroupChange, GroupQuery, Holder, LoginAnswer, Me, Member, MemberResult, NewGrant, NewToken, NewUser, PermissionNode, Role, RoleChange, Session, SetupRequest, Token, User, UserChange, UserQuery } from './access-types'
import type { Page } from './client'
import { ApiError, call } from './transport'

export type * from './access-types'

type Signal = AbortSignal | undefined

export const getSetup = (): Promise<{ needed: boolean }> => call('GET', '/setup')
export const setUp = (body: SetupRequest): Promise<unknown> => call('POST', '/setup', { body })
export const logIn = (body: Credentials): Promise<LoginAnswer> =>
  call('POST', '/auth/login', { body: { ...body, cookies: true } })
export const renewSession = (): Promise<{ expires_in_s: number }> => call('POST', '/auth/refresh', { body: {} })
export const logOut = (): Promise<unknown> => call('POST', '/auth/logout', { body: {} })

export const getMe = (): Promise<Me> => call('GET', '/auth/me')
export const changeMe = (body: { display_name?: string; email?: string | null; language?: string }): Promise<Me> =>
  call('PATCH', '/auth/me', { body })
export const changePassword = (body: { current: string; new: string }): Promise<unknown> =>
  call('POST', '/auth/password', { body })
export const beginTotp = (): Promise<{ secret: string; uri: string }> => call('POST', '/auth/totp', { body: {} })
export const confirmTotp = (code: string): Promise<{ recovery_codes: string[] }> =>
  call('POST', '/auth/totp/confirm', { body: { code } })
export const newRecoveryCodes = (password: string): Promise<{ recovery_codes: string[] }> =>
  call('POST', '/auth/totp/recovery-codes', { body: { password } })
export const disableTotp = (password: string): Promise<unknown> => call('POST', '/auth/totp/disable', { body: { password } })
export const listSessions = (signal?: Signal): Promise<{ items: Session[] }> => call('GET', '/auth/sessions', { signal })
export const revokeSession = (id: string): Promise<unknown> => call('DELETE', `/auth/sessions/${id}`)
export const listTokens = (signal?: Signal): Promise<{ items: Token[] }> => call('GET', '/auth/tokens', { signal })
export const createToken = (body: { name: string; permissions: string[]; expires_at: string | null }): Promise<NewToken> =>
  call('POST', '/auth/tokens', { body })
export const revokeToken = (id: string): Promise<unknown> => call('DELETE', `/auth/tokens/${id}`)

export const listUsers = (query: UserQuery, signal?: Signal): Promise<Page<User>> => call('GET', '/users', { query, signal })
export const createUser = (body: NewUser): Promise<User> => call('POST', '/users', { body })
export const getUser = (id: string, signal?: Signal): Promise<User> => call('GET', `/users/${id}`, { signal })
export const changeUser = (id: string, body: UserChange): Promise<User> => call('PATCH', `/users/${id}`, { body })
export const deleteUser = (id: string): Promise<unknown> => call('DELETE', `/users/${id}`)
export const resetPassword = (id: string, password: string): Promise<unknown> =>
  call('POST', `/users/${id}/password`, { body: { password } })
export const unlockUser = (id: string): Promise<unknown> => call('POST', `/users/${id}/unlock`, { body: {} })
export const resetTwoFactor = (id: string): Promise<unknown> => call('POST', `/users/${id}/two-factor/reset`, { body: {} })
export const listUserSessions = (id: string, signal?: Signal): Promise<{ items: Session[] }> =>
  call('GET', `/users/${id}/sessions`, { signal })
export const endUserSessions = (id: string): Promise<unknown> => call('DELETE', `/users/${id}/sessions`)
export const listGrants = (id: string, signal?: Signal): Promise<{ items: Grant[] }> =>
  call('GET', `/users/${id}/grants`, { signal })
export const createGrant = (id: string, body: NewGrant): Promise<Grant> => call('POST', `/users/${id}/grants`, { body })
export const deleteGrant = (id: string, grant: string): Promise<unknown> => call('DELETE', `/users/${id}/grants/${grant}`)
export const getAccess = (id: string, signal?: Signal): Promise<Access> => call('GET', `/users/${id}/access`, { signal })
export const whyMay = (id: string, query: { permission: string; vm?: string }): Promise<Decision> =>
  call('GET', `/users/${id}/why`, { query })

export const listRoles = (signal?: Signal): Promise<{ items: Role[] }> => call('GET', '/roles', { signal })
export const createRole = (body: RoleChange): Promise<Role> => call('POST', '/roles', { body })
export const getRole = (id: string, signal?: Signal): Promise<Role> => call('GET', `/roles/${id}`, { signal })
export const changeRole = (id: string, body: RoleChange): Promise<Role> => call('PATCH', `/roles/${id}`, { body })
export const deleteRole = (id: string): Promise<unknown> => call('DELETE', `/roles/${id}`)
export const listPermissions = (signal?: Signal): Promise<{ items: PermissionNode[] }> =>
  call('GET', '/permissions', { signal })

export const listHolders = (permission: string, query: { vm?: string }): Promise<{ items: Holder[] }> =>
  call('GET', `/permissions/${encodeURIComponent(permission)}/holders`, { query })

export const listGroups = (query: GroupQuery, signal?: Signal): Promise<Page<Group>> =>
  call('GET', '/groups', { query, signal })
export const createGroup = (body: GroupChange): Promise<Group> => call('POST', '/groups', { body })
export const getGroup = (id: string, signal?: Signal): Promise<Group> => call('GET', `/groups/${id}`, { signal })
export const changeGroup = (id: string, body: GroupChange): Promise<Group> => call('PATCH', `/groups/${id}`, { body })
export const deleteGroup = (id: string): Promise<unknown> => call('DELETE', `/groups/${id}`)
export const listMembers = (id: string, query: { page?: number; page_size?: number }, signal?: Signal): Promise<Page<Member>> =>
  call('GET', `/groups/${id}/members`, { query, signal })
export const changeMembers = (id: string, body: { add?: string[]; remove?: string[] }): Promise<{ items: MemberResult[] }> =>
  call('PUT', `/groups/${id}/members`, { body })

export const listAudit = (query: AuditQuery, signal?: Signal): Promise<AuditPage> => call('GET', '/audit', { query, signal })

/** Where the browser fetches the audit as a file. */
export function auditCsv(query: AuditQuery): string {
  const parts = Object.entries(query).flatMap(([name, value]) => (value ? [[name, String(value)]] : []))
  const search = new URLSearchParams(parts).toString()
  return `/api/v1/audit/export${search && `?${search}`}`
}

/** Has a choice of language go with the account to other browsers. In this one it holds in any case. */
export async function rememberLanguage(language: string): Promise<void> {
  try {
    await changeMe({ language })
  } catch (cause) {
    if (!(cause instanceof ApiError)) throw cause
  }
}
