import { onScopeDispose, readonly, ref } from 'vue'

/** Whether a media query holds, now and later. */
export function useMediaQuery(query: string) {
  const media = window.matchMedia(query)
  const matches = ref(media.matches)
  const follow = (event: MediaQueryListEvent) => {
    matches.value = event.matches
  }
  media.addEventListener('change', follow)
  onScopeDispose(() => {
    media.removeEventListener('change', follow)
  })
  return readonly(matches)
}
