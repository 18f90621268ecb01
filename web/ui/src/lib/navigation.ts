/** The places of the menu, which of them somebody may see, and how many fit on a phone. */

export interface Place {
  /** Key of its name among the texts, and name of its route. */
  name: 'overview' | 'hosts' | 'vms' | 'history' | 'wall' | 'exports' | 'gaps' | 'health' | 'users' | 'roles' | 'groups' | 'audit'
  path: string
  /** Any one of these permissions opens it. */
  needs: readonly string[]
  /** `watch` is what one comes for; `manage` is gathered in a menu of its own. */
  part: 'watch' | 'manage'
  /** Outline in a square of 20. */
  icon: string
}

export const PLACES: readonly Place[] = [
  {
    name: 'overview',
    path: '/',
    needs: ['host.read', 'vm.read'],
    part: 'watch',
    icon: 'M3 3h6v8H3zM11 3h6v5h-6zM11 10h6v7h-6zM3 13h6v4H3z',
  },
  { name: 'hosts', path: '/hosts', needs: ['host.read'], part: 'watch', icon: 'M3 4h14v5H3zM3 11h14v5H3zM6 6.5h.01M6 13.5h.01' },
  { name: 'vms', path: '/vms', needs: ['vm.read'], part: 'watch', icon: 'M3 4h14v9H3zM7 16.5h6M10 13v3.5' },
  { name: 'history', path: '/history', needs: ['vm.read', 'host.read'], part: 'watch', icon: 'M3 3v14h14M6 13l3.5-4 3 2.5L17 6' },
  { name: 'wall', path: '/wall', needs: ['vm.read'], part: 'watch', icon: 'M3 3h4v4H3zM8 3h4v4H8zM13 3h4v4h-4zM3 8h4v4H3zM8 8h4v4H8zM13 8h4v4h-4zM3 13h4v4H3zM8 13h4v4H8zM13 13h4v4h-4z' },
  { name: 'gaps', path: '/gaps', needs: ['ledger.read'], part: 'watch', icon: 'M2.5 13h2l2-6M13.5 7l2 6h2M9 5h.01M11.5 5h.01' },
  {
    name: 'health',
    path: '/system',
    needs: ['system.read'],
    part: 'watch',
    icon: 'M10 16.5 4 10.6a3.9 3.9 0 0 1 6-5 3.9 3.9 0 0 1 6 5z',
  },
  {
    name: 'users',
    path: '/users',
    needs: ['user.read'],
    part: 'manage',
    icon: 'M7.5 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 16.5c0-3 2-5 5-5s5 2 5 5M13 9.5a2.5 2.5 0 1 0-1-4.8M14 11.7c2.2.4 3.5 2.2 3.5 4.8',
  },
  { name: 'roles', path: '/roles', needs: ['role.read'], part: 'manage', icon: 'M10 2.5l6 2.2v4.6c0 3.8-2.5 6.6-6 8.2-3.5-1.6-6-4.4-6-8.2V4.7zM7.5 10l1.8 1.8 3.4-3.6' },
  { name: 'groups', path: '/groups', needs: ['group.read'], part: 'manage', icon: 'M3 3h6v5H3zM11 3h6v5h-6zM7 12h6v5H7zM6 8v2h8V8M10 10v2' },
  { name: 'exports', path: '/exports', needs: ['export.create'], part: 'manage', icon: 'M10 3v9M6.5 9l3.5 3.5L13.5 9M4 16.5h12' },
  { name: 'audit', path: '/audit', needs: ['audit.read'], part: 'manage', icon: 'M5 2.5h7l3.5 3.5v11.5H5zM12 2.5V6h3.5M7.5 9.5h5M7.5 12h5M7.5 14.5h3' },
]

/** The places that somebody may see. */
export function allowed(may: (permission: string) => boolean): Place[] {
  return PLACES.filter((place) => place.needs.some(may))
}

/** Which places stand in the bar of a phone and which behind its last button, so that `slots` buttons are enough. */
export function forPhone(places: readonly Place[], slots: number): { shown: Place[]; more: Place[] } {
  if (places.length <= slots) return { shown: [...places], more: [] }
  return { shown: places.slice(0, slots - 1), more: places.slice(slots - 1) }
}

/** Whether an address belongs to a place: itself or something below it. */
export function within(place: Place, path: string): boolean {
  return path === place.path || (place.path !== '/' && path.startsWith(`${place.path}/`))
}
