/** The addresses to look at, with what must be on the page before, and what is opened on some of them. */

const FIRST_SAMPLES_MS = 30_000

/** The newest host and a running VM, once the first samples of a fresh server are stored. */
async function subjects(api, with_vms) {
  const end = Date.now() + FIRST_SAMPLES_MS
  for (;;) {
    const [host] = (await api('/hosts?page_size=1&sort=-last_sample_at')).items
    const [vm] = (await api('/vms?page_size=1&state=running&sort=-name')).items
    if ((host && (vm || !with_vms)) || Date.now() > end) return { host, vm }
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

/** What is to be watched. */
export async function watched(api, with_vms) {
  const { host, vm } = await subjects(api, with_vms)
  if (!host) throw new Error('the server knows no host: start an agent first')
  if (!vm && with_vms) throw new Error('the server knows no running VM, and --vms was given')
  const missing = (await api('/gaps?page_size=1')).total
  return {
    overview: { path: '/', ready: vm ? '[data-testid=busiest] [data-vm]' : '[data-host] [data-testid=value]' },
    hosts: { path: '/hosts', ready: 'tr[data-host]' },
    host: { path: `/hosts/${host.id}`, ready: '[data-chart=host_cpu]:not([data-points="0"])' },
    vms: { path: '/vms', ready: vm ? 'tr[data-vm]' : '[data-testid=total]' },
    ...(vm && { vm: { path: `/vms/${vm.id}`, ready: '[data-chart=vm_cpu]:not([data-points="0"])' } }),
    history: { path: '/history?range=m15', ready: vm ? '[data-chart] [data-series]' : 'main .card [role=status]' },
    wall: { path: '/wall', ready: vm ? '[data-vm] [data-testid=value]' : 'main .card [role=status]' },
    exports: { path: '/exports', ready: '[data-testid=total]' },
    new_vm: { path: '/vms', ready: '[data-testid=new-vm]', act: (page) => opens(page, '[data-testid=new-vm]', 'input[name=vm-name]') },
    vm_filters: { path: '/vms', ready: '[data-testid=more-filters] > button', act: (page) => page.click('[data-testid=more-filters] > button') },
    ...(vm && {
      batch: {
        path: '/vms',
        ready: 'tr[data-vm]',
        act: async (page) => {
          await page.locator('tr[data-vm] input[type=checkbox]').first().click()
          await opens(page, '[data-testid=batch-change]', '.el-dialog [data-testid=label-input]')
        },
      },
    }),
    gaps: { path: '/gaps', ready: missing > 0 ? 'tr[data-gap]' : 'main .card [role=status]' },
    system: { path: '/system', ready: 'tr[data-agent]' },
    missing: { path: '/nowhere', ready: 'main h1' },
  }
}

/** A dialog, once it has come in. */
async function opens(page, button, part) {
  await page.click(button)
  await page.locator(part).first().waitFor()
  await page.waitForFunction(() => document.querySelectorAll('[class*=-enter-active]').length === 0)
}

/** People, what they may do, what they did, and one's own account. */
export async function managed(api) {
  const [user] = (await api('/users?page_size=1')).items
  const [group] = (await api('/groups?page_size=1')).items
  const role = (await api('/roles')).items[0]
  return {
    account: { path: '/profile', ready: 'main tbody tr' },
    password: { path: '/profile/password', ready: 'input[name=current]' },
    two_factor: { path: '/profile/two-factor', ready: 'main .form-foot button' },
    sessions: { path: '/profile/sessions', ready: 'tr[data-session]' },
    tokens: { path: '/profile/tokens', ready: '[data-testid=new-token]' },
    new_token: {
      path: '/profile/tokens',
      ready: '[data-testid=new-token]',
      act: (page) => opens(page, '[data-testid=new-token]', '.el-dialog .tree li'),
    },
    users: { path: '/users', ready: 'tr[data-user]' },
    new_user: {
      path: '/users',
      ready: 'tr[data-user]',
      act: (page) => opens(page, '[data-testid=new-user]', 'input[name=new-name]'),
    },
    user: { path: `/users/${user.id}`, ready: '[data-testid=why] option:nth-child(2)', attached: true },
    new_grant: {
      path: `/users/${user.id}`,
      ready: '[data-testid=new-grant]',
      act: (page) => opens(page, '[data-testid=new-grant]', 'select[name=role]'),
    },
    roles: { path: '/roles', ready: 'tr[data-role]' },
    role: { path: `/roles/${role.id}`, ready: 'select[data-permission]' },
    new_role: { path: '/roles/new', ready: 'select[data-permission]' },
    groups: { path: '/groups', ready: '[data-testid=total]' },
    new_group: {
      path: '/groups',
      ready: '[data-testid=new-group]',
      act: (page) => opens(page, '[data-testid=new-group]', 'textarea[name=group-rule]'),
    },
    ...(group && { group: { path: `/groups/${group.id}`, ready: '[data-testid=add-members]' } }),
    audit: { path: '/audit', ready: 'tr[data-action]' },
    audit_detail: {
      path: '/audit',
      ready: 'tr[data-action]',
      act: (page) => opens(page, 'tr[data-action] .what', '[data-testid=audit-detail]'),
    },
    menu: {
      path: '/profile',
      ready: '[data-testid=user-menu]',
      act: (page) => page.click('[data-testid=user-menu] button'),
    },
  }
}
