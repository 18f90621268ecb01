/** The pages, what each needs, and who is sent where instead. */
import { createRouter, createWebHistory, type RouteLocationNormalized, type RouteLocationRaw, type RouteRecordRaw } from 'vue-router'
import { localPath } from './lib/local-path'
import { allowed, PLACES } from './lib/navigation'
import { useSession } from './stores/session'

declare module 'vue-router' {
  interface RouteMeta {
    /** Any one of these permissions opens the page. */
    needs?: readonly string[]
    /** Open to whoever is not logged in. */
    open?: boolean
    /** Pages of one key are one page: going from one to the other does not make it anew. */
    key?: string
  }
}

/** The permissions of the menu's place of this name. */
const place = (name: string) => ({ needs: PLACES.find((one) => one.name === name)?.needs ?? [] })

const routes: RouteRecordRaw[] = [
  { path: '/', name: 'overview', meta: place('overview'), component: () => import('./pages/OverviewPage.vue') },
  { path: '/hosts', name: 'hosts', meta: place('hosts'), component: () => import('./pages/HostsPage.vue') },
  { path: '/hosts/:id', name: 'host', meta: place('hosts'), component: () => import('./pages/HostPage.vue'), props: true },
  { path: '/vms', name: 'vms', meta: place('vms'), component: () => import('./pages/VmsPage.vue') },
  { path: '/vms/:id', name: 'vm', meta: place('vms'), component: () => import('./pages/VmPage.vue'), props: true },
  { path: '/history', name: 'history', meta: { ...place('history'), key: 'history' }, component: () => import('./pages/HistoryPage.vue') },
  { path: '/wall', name: 'wall', meta: place('wall'), component: () => import('./pages/WallPage.vue') },
  { path: '/exports', name: 'exports', meta: place('exports'), component: () => import('./pages/ExportsPage.vue') },
  { path: '/gaps', name: 'gaps', meta: place('gaps'), component: () => import('./pages/GapsPage.vue') },
  { path: '/system', name: 'system', meta: place('health'), component: () => import('./pages/SystemPage.vue') },
  { path: '/users', name: 'users', meta: place('users'), component: () => import('./pages/UsersPage.vue') },
  { path: '/users/:id', name: 'user', meta: place('users'), component: () => import('./pages/UserPage.vue'), props: true },
  { path: '/roles', name: 'roles', meta: place('roles'), component: () => import('./pages/RolesPage.vue') },
  { path: '/roles/:id', name: 'role', meta: place('roles'), component: () => import('./pages/RolePage.vue'), props: true },
  { path: '/groups', name: 'groups', meta: place('groups'), component: () => import('./pages/GroupsPage.vue') },
  { path: '/groups/:id', name: 'group', meta: place('groups'), component: () => import('./pages/GroupPage.vue'), props: true },
  { path: '/audit', name: 'audit', meta: place('audit'), component: () => import('./pages/AuditPage.vue') },
  {
    path: '/profile/:tab(account|password|two-factor|sessions|tokens)?',
    name: 'profile',
    meta: { key: 'profile' },
    component: () => import('./pages/ProfilePage.vue'),
    props: true,
  },
  { path: '/login', name: 'login', meta: { open: true }, component: () => import('./pages/LoginPage.vue') },
  { path: '/setup', name: 'setup', meta: { open: true }, component: () => import('./pages/SetupPage.vue') },
  { path: '/:rest(.*)*', name: 'missing', component: () => import('./pages/MissingPage.vue') },
]

/** Where somebody goes instead of `to`; true when they may go there. */
async function guide(to: RouteLocationNormalized): Promise<RouteLocationRaw | true> {
  const session = useSession()
  await session.start()
  if (session.setup_needed) return to.name === 'setup' || { name: 'setup' }
  if (to.name === 'setup') return '/'
  if (!session.user) {
    if (to.meta.open) return true
    return { name: 'login', query: to.fullPath === '/' ? {} : { next: to.fullPath } }
  }
  if (session.user.must_change_password && to.params.tab !== 'password') return { name: 'profile', params: { tab: 'password' } }
  if (to.name === 'login') return localPath(to.query.next)
  // The first page is where somebody lands: whoever may not see it lands on what they may see.
  if (to.path === '/' && !to.meta.needs?.some(session.may)) return allowed(session.may)[0]?.path ?? '/profile'
  return true
}

export const router = createRouter({
  history: createWebHistory(),
  routes,
  scrollBehavior: (to, from, saved) => {
    // The bar stays on top of what is scrolled to.
    if (to.hash) return { el: to.hash, top: 60 }
    return to.path === from.path ? undefined : (saved ?? { top: 0 })
  },
})
router.beforeEach(guide)
