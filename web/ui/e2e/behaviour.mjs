/**
 * What the dashboard does over time. That it says so when the server has no collector is not among it: here both are one
 * process and end together.
 */

const LIVE_CHART = '[data-chart=vm_cpu], [data-chart=host_cpu]'

/** Waits until the newest sample of the page's first chart is younger than it was. */
async function grows(page, timeout) {
  const chart = page.locator(LIVE_CHART).first()
  const last = Number(await chart.getAttribute('data-last'))
  await page.waitForFunction(
    ([selector, before]) => Number(document.querySelector(selector)?.getAttribute('data-last')) > before,
    [LIVE_CHART, last],
    { timeout },
  )
}

/** New samples appear on an open page without anybody doing anything. */
export async function livePoints(page, url) {
  await page.goto(url)
  await page.waitForSelector(`:is(${LIVE_CHART}):not([data-points="0"])`)
  await page.waitForSelector('[data-testid=connection][data-state=open]')
  await grows(page, 6000)
  await grows(page, 6000)
}

/** After an outage the connection, the samples and what was missed come back by themselves. */
export async function comesBack(page, url) {
  // The page's own sockets are cut, and new ones refused, by the browser: nothing of the page is replaced.
  let cut = false
  const open = new Set()
  await page.routeWebSocket('**/api/v1/live', (socket) => {
    if (cut) {
      void socket.close({ code: 1013 })
      return
    }
    socket.connectToServer()
    open.add(socket)
  })
  await page.goto(url)
  await page.waitForSelector('[data-testid=connection][data-state=open]')
  await page.waitForSelector(`:is(${LIVE_CHART}):not([data-points="0"])`)
  cut = true
  for (const socket of open) await socket.close({ code: 1012 })
  await page.waitForSelector('[data-testid=connection]:not([data-state=open])')
  cut = false
  await page.waitForSelector('[data-testid=connection][data-state=open]', { timeout: 20_000 })
  await grows(page, 6000)
}

/** The states on the overview add up to all VMs, and each leads to a list of just those. */
export async function countsAndLists(page, url) {
  await page.goto(url)
  await page.waitForSelector('[data-testid=vms-total]')
  const total = Number(await page.innerText('[data-testid=vms-total]'))
  if (total === 0) return
  const links = page.locator('[data-state-link]')
  const counts = await links.locator('strong').allInnerTexts()
  const sum = counts.reduce((all, one) => all + Number(one), 0)
  if (sum !== total) throw new Error(`the states add up to ${sum} of ${total} VMs`)
  await links.first().click()
  await page.waitForURL(/state=/)
  await page.waitForFunction((count) => document.querySelectorAll('tr[data-vm]').length === count, Number(counts[0]))
}

/** Search and sort are in the address, and a reload keeps them. */
export async function searchesInTheAddress(page, url) {
  await page.goto(url)
  await page.fill('input[type=search]', 'no such machine')
  await page.waitForURL(/q=no\+such\+machine/)
  await page.reload()
  const kept = await page.inputValue('input[type=search]')
  if (kept !== 'no such machine') throw new Error(`after a reload the search holds "${kept}"`)
  await page.waitForSelector('[role=status] strong')
}

/** A cause chosen in the ledger is in the address, survives a reload, and can be taken back. */
export async function filtersTheLedger(page, url) {
  await page.goto(url)
  await page.waitForSelector('[data-testid=total]')
  const all = await page.innerText('[data-testid=total]')
  // What is chosen lies over the field itself.
  await page.getByRole('combobox', { name: 'Cause' }).click({ force: true })
  await page.getByRole('option', { name: 'damaged buffer set aside' }).click()
  await page.waitForURL(/cause=corruption/)
  await page.waitForSelector('text=Nothing is missing within these filters.')
  await page.reload()
  await page.waitForSelector('text=Nothing is missing within these filters.')
  await page.getByRole('button', { name: 'Clear filters' }).click()
  await page.waitForURL((address) => address.search === '')
  await page.waitForFunction((text) => document.querySelector('[data-testid=total]')?.textContent === text, all)
}

/** The page of a host leads to what of it is missing. */
export async function leadsFromTheHost(page, url) {
  await page.goto(url)
  await page.click('main a[href^="/gaps?host="]')
  await page.waitForURL(/\/gaps\?host=/)
  await page.waitForSelector('[data-testid=total]')
}

/** The menu of the account changes language and theme, and the next visit remembers. */
export async function switchesAndKeeps(page, url) {
  await page.goto(url)
  await page.click('[data-testid=user-menu] button')
  await page.click('[data-testid=language] label:has-text("日本語")')
  await page.waitForFunction(() => document.documentElement.lang === 'ja-JP')
  await page.click('[data-testid=theme] label:has-text("ダーク")')
  await page.waitForFunction(() => document.documentElement.dataset.theme === 'dark')
  await page.reload()
  await page.waitForSelector('h1')
  const kept = await page.evaluate(() => [document.documentElement.lang, document.documentElement.dataset.theme])
  if (kept.join() !== 'ja-JP,dark') throw new Error(`after a reload: ${kept.join()}`)
}
