/** Names of roles: the built-in ones have one in each language. */
import { useI18n } from 'vue-i18n'

export function useRoleName(): (name: string) => string {
  const { t, te } = useI18n()
  return (name) => (te(`role_name.${name}`) ? t(`role_name.${name}`) : name)
}

/** What a role is for: the built-in ones say it in each language. */
export function useRoleHelp(): (role: { name: string; description: string; built_in: boolean }) => string {
  const { t, te } = useI18n()
  return (role) => (role.built_in && te(`role_help.${role.name}`) ? t(`role_help.${role.name}`) : role.description)
}
