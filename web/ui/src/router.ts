import { createRouter, createWebHistory } from 'vue-router'

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/', name: 'overview', component: () => import('./pages/OverviewPage.vue') },
    { path: '/hosts', name: 'hosts', component: () => import('./pages/HostsPage.vue') },
    { path: '/hosts/:id', name: 'host', component: () => import('./pages/HostPage.vue'), props: true },
    { path: '/vms', name: 'vms', component: () => import('./pages/VmsPage.vue') },
    { path: '/vms/:id', name: 'vm', component: () => import('./pages/VmPage.vue'), props: true },
    { path: '/gaps', name: 'gaps', component: () => import('./pages/GapsPage.vue') },
    { path: '/system', name: 'system', component: () => import('./pages/SystemPage.vue') },
    { path: '/:rest(.*)*', name: 'missing', component: () => import('./pages/MissingPage.vue') },
  ],
  scrollBehavior: (to, from, saved) => {
    // The bar stays on top of what is scrolled to.
    if (to.hash) return { el: to.hash, top: 60 }
    return to.path === from.path ? undefined : (saved ?? { top: 0 })
  },
})
