/** What the server tells of people, what they may do, and what they did: names for what the OpenAPI document says. */
import type { components, paths } from './schema'

type Schemas = components['schemas']
type Query<P extends keyof paths> = paths[P] extends { get: { parameters: { query?: infer Q } } } ? NonNullable<Q> : never

export type Me = Schemas['Me']
export type MeChange = Schemas['MeChange']
export type PasswordChange = Schemas['PasswordChange']
export type HeldPermission = Schemas['HeldPermission']
export type LoginAnswer = Schemas['LoggedIn']
export type Credentials = Omit<Schemas['LoginRequest'], 'cookies'>
export type SetupRequest = Schemas['SetupRequest']
export type Session = Schemas['Session']
export type Token = Schemas['Token']
export type NewToken = Schemas['NewToken']
export type MadeToken = Schemas['MadeToken']
export type User = Schemas['User']
export type UserQuery = Query<'/api/v1/users'>
export type UserChange = Schemas['UserChange']
export type NewUser = Schemas['NewUser']
export type Grant = Schemas['Grant']
export type NewGrant = Schemas['NewGrant']
export type Effect = Schemas['Effect']
export type Reason = Schemas['Reason']
export type Decision = Schemas['Decision']
export type Access = Schemas['UserAccess']
export type RoleEntry = Schemas['RoleEntry']
export type Role = Schemas['Role']
export type RoleChange = Schemas['RoleDefinition']
export type PermissionNode = Schemas['PermissionNode']
export type Holder = Schemas['Holder']
export type Group = Schemas['VmGroup']
export type GroupQuery = Query<'/api/v1/groups'>
export type GroupChange = Schemas['GroupDefinition']
export type Member = Schemas['Member']
export type MemberResult = Schemas['MemberResult']
export type AuditEntry = Schemas['AuditEntry']
export type AuditPage = Schemas['AuditPage']
export type AuditQuery = Query<'/api/v1/audit'>
