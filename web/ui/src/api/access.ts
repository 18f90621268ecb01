/** People, what they may do, and what they did. */
import type { Page } from './client'
import { call } from './transport'

export interface Scope {
  kind: string
  id: string | null
  name: string | null
}
export interface HeldPermission {
  permission: string
  scope: Scope
}
export interface Me {
  id: string
  name: string
  email: string | null
  display_name: string
  language: string | null
  two_factor: boolean
  must_change_password: boolean
  permissions: HeldPermission[]
  session_id: string | null
}
export interface LoginAnswer {
  user: Me
  expires_in_s: number
}
export interface Credentials {
  login: string
  password: string
  second_factor?: string
}
export interface SetupRequest {
  code: string
  name: string
  email?: string
  display_name?: string
  password: string
}
export interface Session {
  id: string
  created_at: string
  last_used_at: string
  expires_at: string
  remote: string
  user_agent: string
  current: boolean
}
export interface Token {
  id: string
  name: string
  permissions: string[]
  expires_at: string | null
  created_at: string
  last_used_at: string | null
  last_used_remote: string | null
  revoked_at: string | null
}
export interface NewToken {
  token: string
}
export interface User {
  id: string
  name: string
  email: string | null
  display_name: string
  language: string | null
  two_factor: boolean
  must_change_password: boolean
  disabled_at: string | null
  locked_until: string | null
  created_at: string
  last_login_at: string | null
}
export interface UserQuery {
  page?: number
  page_size?: number
  q?: string
  sort?: string
  disabled?: boolean
}
export interface UserChange {
  name?: string
  email?: string | null
  display_name?: string
  language?: string
  disabled?: boolean
}
export interface NewUser {
  name: string
  email?: string
  display_name?: string
  language?: string
  password: string
}
export interface RoleRef {
  id: string
  name: string
}
export interface Grant {
  id: string
  role: RoleRef
  scope: Scope
  expires_at: string | null
  created_at: string
  created_by: string | null
}
export interface NewGrant {
  role: string
  scope: { kind: string; id?: string }
  expires_at?: string
}
export type Effect = 'allow' | 'deny'
export interface Reason {
  grant: string
  path: string[]
  permission: string
  scope: Scope
  effect: Effect
}
export interface Holder {
  user: { id: string; name: string }
  reasons: Reason[]
}
export interface Decision {
  allowed: boolean
  reasons: Reason[]
}
export interface EffectivePermission {
  permission: string
  scope: Scope
  reasons: Reason[]
}
export interface Conflict {
  permission: string
  allow: Reason
  deny: Reason
}
export interface Access {
  permissions: EffectivePermission[]
  conflicts: Conflict[]
}
export interface RoleEntry {
  permission: string
  effect: Effect
}
export interface Role {
  id: string
  name: string
  description: string
  built_in: boolean
  entries: RoleEntry[]
  parents: string[]
  grants: number
}
export interface RoleChange {
  name: string
  description: string
  entries: RoleEntry[]
  parents: string[]
}
export interface PermissionNode {
  name: string
  help: string
  children: PermissionNode[]
}
export interface Group {
  id: string
  name: string
  description: string
  members: number
  created_at: string
}
export interface GroupQuery {
  page?: number
  page_size?: number
  q?: string
}
export interface GroupChange {
  name: string
  description: string
}
export interface Member {
  id: string
  name: string
  host: { id: string; name: string }
  state: string | null
}
export interface MemberResult {
  vm: string
  result: string
}
export interface AuditEntry {
  id: number
  at: string
  actor_kind: string
  actor_id: string | null
  actor_name: string
  remote: string
  request_id: string
  action: string
  target_kind: string | null
  target_id: string | null
  target_name: string | null
  result: string
  code: number
  before: unknown
  after: unknown
}
export interface AuditPage {
  items: AuditEntry[]
  next_cursor: string | null
}
export interface AuditQuery {
  cursor?: string
  limit?: number
  q?: string
  actor?: string
  action?: string
  result?: string
  target_kind?: string
  target_id?: string
  from?: string
  to?: string
}

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
