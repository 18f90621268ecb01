/** The named views of a list, of one person in one browser. */
import { ref } from 'vue'
import { parseViews, withView, type SavedView } from '@/lib/saved-views'
import { useSession } from '@/stores/session'

export function useSavedViews(list: string) {
  const key = `vmscope.views.${list}.${useSession().user?.id ?? ''}`

  function recall(): SavedView[] {
    try {
      return parseViews(localStorage.getItem(key))
    } catch {
      // Storage may be forbidden (private windows): then views last as long as the page.
      return []
    }
  }
  const views = ref<SavedView[]>(recall())

  function keep(next: SavedView[]): void {
    views.value = next
    try {
      localStorage.setItem(key, JSON.stringify(next))
    } catch {
      // See above.
    }
  }

  return {
    views,
    save: (view: SavedView) => {
      keep(withView(views.value, view))
    },
    remove: (name: string) => {
      keep(views.value.filter((one) => one.name !== name))
    },
  }
}
