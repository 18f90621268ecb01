/** People, what they may do, and what they did. */
import type {
  Access,
  AuditPage,
  AuditQuery,
  Credentials,
  Decision,
  Grant,
  Group,
  GroupChange,
  GroupQuery,
  Holder,
  LoginAnswer,
  MadeToken,
  Me,
  MeChange,
  Member,
  MemberResult,
  NewGrant,
  NewToken,
  NewUser,
  PasswordChange,
  PermissionNode,
  Role,
  RoleChange,
  Session,
  SetupRequest,
  Token,
  User,
  UserChange,
  UserQuery,
} from './access-types'
import type { Page } from './client'
import { ApiError, client, unwrap } from './transport'

export type * from './access-types'

export const getSetup = (): Promise<{ needed: boolean }> =>
  unwrap(client.GET('/api/v1/setup'))
export const setUp = (body: SetupRequest): Promise<unknown> =>
  unwrap(client.POST('/api/v1/setup', { body }))
export const logIn = (body: Credentials): Promise<LoginAnswer> =>
  unwrap(client.POST('/api/v1/auth/login', { body: { ...body, cookies: true } }))
export const renewSession = (): Promise<{ expires_in_s: number }> =>
  unwrap(client.POST('/api/v1/auth/refresh', { body: {} }))
export const logOut = (): Promise<unknown> =>
  unwrap(client.POST('/api/v1/auth/logout'))

export const getMe = (): Promise<Me> =>
  unwrap(client.GET('/api/v1/auth/me'))
export const changeMe = (body: MeChange): Promise<Me> =>
  unwrap(client.PATCH('/api/v1/auth/me', { body }))
export const changePassword = (body: PasswordChange): Promise<unknown> =>
  unwrap(client.POST('/api/v1/auth/password', { body }))
export const beginTotp = (): Promise<{ secret: string; uri: string }> =>
  unwrap(client.POST('/api/v1/auth/totp'))
export const confirmTotp = (code: string): Promise<{ recovery_codes: string[] }> =>
  unwrap(client.POST('/api/v1/auth/totp/confirm', { body: { code } }))
export const newRecoveryCodes = (password: string): Promise<{ recovery_codes: string[] }> =>
  unwrap(client.POST('/api/v1/auth/totp/recovery-codes', { body: { password } }))
export const disableTotp = (password: string): Promise<unknown> =>
  unwrap(client.POST('/api/v1/auth/totp/disable', { body: { password } }))
export const listSessions = (signal?: AbortSignal): Promise<{ items: Session[] }> =>
  unwrap(client.GET('/api/v1/auth/sessions', { signal }))
export const revokeSession = (id: string): Promise<unknown> =>
  unwrap(client.DELETE('/api/v1/auth/sessions/{id}', { params: { path: { id } } }))
export const listTokens = (signal?: AbortSignal): Promise<{ items: Token[] }> =>
  unwrap(client.GET('/api/v1/auth/tokens', { signal }))
export const createToken = (body: NewToken): Promise<MadeToken> =>
  unwrap(client.POST('/api/v1/auth/tokens', { body }))
export const revokeToken = (id: string): Promise<unknown> =>
  unwrap(client.DELETE('/api/v1/auth/tokens/{id}', { params: { path: { id } } }))

export const listUsers = (query: UserQuery, signal?: AbortSignal): Promise<Page<User>> =>
  unwrap(client.GET('/api/v1/users', { params: { query }, signal }))
export const createUser = (body: NewUser): Promise<User> =>
  unwrap(client.POST('/api/v1/users', { body }))
export const getUser = (id: string, signal?: AbortSignal): Promise<User> =>
  unwrap(client.GET('/api/v1/users/{id}', { params: { path: { id } }, signal }))
export const changeUser = (id: string, body: UserChange): Promise<User> =>
  unwrap(client.PATCH('/api/v1/users/{id}', { params: { path: { id } }, body }))
export const deleteUser = (id: string): Promise<unknown> =>
  unwrap(client.DELETE('/api/v1/users/{id}', { params: { path: { id } } }))
export const resetPassword = (id: string, password: string): Promise<unknown> =>
  unwrap(client.POST('/api/v1/users/{id}/password', { params: { path: { id } }, body: { password } }))
export const unlockUser = (id: string): Promise<unknown> =>
  unwrap(client.POST('/api/v1/users/{id}/unlock', { params: { path: { id } } }))
export const resetTwoFactor = (id: string): Promise<unknown> =>
  unwrap(client.POST('/api/v1/users/{id}/two-factor/reset', { params: { path: { id } } }))
export const listUserSessions = (id: string, signal?: AbortSignal): Promise<{ items: Session[] }> =>
  unwrap(client.GET('/api/v1/users/{id}/sessions', { params: { path: { id } }, signal }))
export const endUserSessions = (id: string): Promise<unknown> =>
  unwrap(client.DELETE('/api/v1/users/{id}/sessions', { params: { path: { id } } }))
export const listGrants = (id: string, signal?: AbortSignal): Promise<{ items: Grant[] }> =>
  unwrap(client.GET('/api/v1/users/{id}/grants', { params: { path: { id } }, signal }))
export const createGrant = (id: string, body: NewGrant): Promise<Grant> =>
  unwrap(client.POST('/api/v1/users/{id}/grants', { params: { path: { id } }, body }))
export const deleteGrant = (id: string, grant: string): Promise<unknown> =>
  unwrap(client.DELETE('/api/v1/users/{id}/grants/{grant}', { params: { path: { id, grant } } }))
export const getAccess = (id: string, signal?: AbortSignal): Promise<Access> =>
  unwrap(client.GET('/api/v1/users/{id}/access', { params: { path: { id } }, signal }))
export const whyMay = (id: string, query: { permission: string; vm?: string }): Promise<Decision> =>
  unwrap(client.GET('/api/v1/users/{id}/why', { params: { path: { id }, query } }))

export const listRoles = (signal?: AbortSignal): Promise<{ items: Role[] }> =>
  unwrap(client.GET('/api/v1/roles', { signal }))
export const createRole = (body: RoleChange): Promise<Role> =>
  unwrap(client.POST('/api/v1/roles', { body }))
export const changeRole = (id: string, body: RoleChange): Promise<Role> =>
  unwrap(client.PATCH('/api/v1/roles/{id}', { params: { path: { id } }, body }))
export const deleteRole = (id: string): Promise<unknown> =>
  unwrap(client.DELETE('/api/v1/roles/{id}', { params: { path: { id } } }))
export const listPermissions = (signal?: AbortSignal): Promise<{ items: PermissionNode[] }> =>
  unwrap(client.GET('/api/v1/permissions', { signal }))

export const listHolders = (permission: string, query: { vm?: string }): Promise<{ items: Holder[] }> =>
  unwrap(client.GET('/api/v1/permissions/{name}/holders', { params: { path: { name: permission }, query } }))

export const listGroups = (query: GroupQuery, signal?: AbortSignal): Promise<Page<Group>> =>
  unwrap(client.GET('/api/v1/groups', { params: { query }, signal }))
export const createGroup = (body: GroupChange): Promise<Group> =>
  unwrap(client.POST('/api/v1/groups', { body }))
export const getGroup = (id: string, signal?: AbortSignal): Promise<Group> =>
  unwrap(client.GET('/api/v1/groups/{id}', { params: { path: { id } }, signal }))
export const changeGroup = (id: string, body: GroupChange): Promise<Group> =>
  unwrap(client.PATCH('/api/v1/groups/{id}', { params: { path: { id } }, body }))
export const deleteGroup = (id: string): Promise<unknown> =>
  unwrap(client.DELETE('/api/v1/groups/{id}', { params: { path: { id } } }))
export const listMembers = (id: string, query: { page?: number; page_size?: number }, signal?: AbortSignal): Promise<Page<Member>> =>
  unwrap(client.GET('/api/v1/groups/{id}/members', { params: { path: { id }, query }, signal }))
export const changeMembers = (id: string, body: { add?: string[]; remove?: string[] }): Promise<{ items: MemberResult[] }> =>
  unwrap(client.PUT('/api/v1/groups/{id}/members', { params: { path: { id } }, body }))

export const listAudit = (query: AuditQuery, signal?: AbortSignal): Promise<AuditPage> =>
  unwrap(client.GET('/api/v1/audit', { params: { query }, signal }))

/** Where the browser fetches the audit as a file. */
export function auditCsv(query: AuditQuery): string {
  const parts = Object.entries(query).flatMap(([name, value]) => (value ? [[name, String(value)]] : []))
  const search = new URLSearchParams(parts).toString()
  return `/api/v1/audit/export${search && `?${search}`}`
}

/** Has a choice of language go with the account to other browsers. In this one it holds in any case. */
export async function rememberLanguage(language: Me['language']): Promise<void> {
  try {
    await changeMe({ language })
  } catch (cause) {
    if (!(cause instanceof ApiError)) throw cause
  }
}
