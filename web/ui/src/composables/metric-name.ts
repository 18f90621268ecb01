/** What metrics are called. */
import { useI18n } from 'vue-i18n'

export function useMetricName(): (metric: string) => string {
  const { t, te } = useI18n()
  // A metric that only a newer server knows reads as it is written there.
  return (metric) => (te(`metric.${metric}`) ? t(`metric.${metric}`) : metric.replaceAll('_', ' '))
}
