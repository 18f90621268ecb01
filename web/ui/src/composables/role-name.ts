/** Names of roles: the built-in ones have one in each language. */
import { useI18n } from 'vue-i18n'

export function useRoleName(): (name: string) => string {
  const { t, te } = useI18n()
  return (name) => (te(`role_name.${name}`) ? t(`role_name.${name}`) : name)
}
