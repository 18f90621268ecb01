/** What the server tells of people, what they may do, and what they did. */

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
  expired: boolean
  created_at: string
  created_by: string
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

