/** What is done with machines, labels and groups. */

/** Two columns order the list, and the address says so. */
export async function sortsByTwo(page, url) {
  await page.goto(url)
  await page.waitForSelector('tr[data-vm]')
  await page.click('[data-sort=state] button')
  await page.waitForURL(/sort=state$/)
  await page.click('[data-sort=name] button', { modifiers: ['Shift'] })
  await page.waitForURL(/sort=state(,|%2C)name/)
  await page.waitForSelector('tr[data-vm]')
}

/** A view has a name, and leads back to what it was. */
export async function savesAView(page, url) {
  await page.goto(`${url}?state=running`)
  await page.waitForSelector('[data-testid=views] > button')
  await page.click('[data-testid=views] > button')
  await page.fill('input[name=view-name]', 'Those that run')
  await page.click('[data-testid=save-view]')
  await page.waitForSelector('[data-view="Those that run"]')
  await page.goto(url)
  await page.click('[data-testid=views] > button')
  await page.click('[data-view="Those that run"]')
  await page.waitForURL(/state=running/)
}

/** Machines that are selected get a label together; the list finds them by it, and it is taken away again. */
export async function labelsMany(page, url) {
  const label = `e2e=${Date.now().toString(36)}`
  await page.goto(url)
  await page.waitForSelector('tr[data-vm]')
  await page.locator('th input[type=checkbox]').click()
  await page.click('[data-testid=batch-change]')
  const field = page.locator('.el-dialog [data-testid=label-input]').first()
  await field.fill(label)
  await field.press('Enter')
  await page.click('.el-dialog [data-testid=submit]')
  await page.locator('.el-dialog').waitFor({ state: 'hidden' })
  await page.goto(`${url}?label=${encodeURIComponent(label)}`)
  await page.waitForSelector('tr[data-vm]')
  await page.waitForSelector(`tr[data-vm] .tag:has-text("${label}")`)
  await page.locator('th input[type=checkbox]').click()
  await page.click('[data-testid=batch-change]')
  const remove = page.locator('.el-dialog [data-testid=label-input]').nth(1)
  await remove.fill('e2e')
  await remove.press('Enter')
  await page.click('.el-dialog [data-testid=submit]')
  await page.waitForSelector('main .card [role=status]')
}

/** A machine that no agent reports is entered by hand, is found, and is deleted. */
export async function entersByHand(page, url) {
  const name = `by-hand-${Date.now().toString(36)}`
  await page.goto(url)
  await page.click('[data-testid=new-vm]')
  await page.fill('input[name=vm-name]', name)
  await page.click('.el-dialog [data-testid=submit]')
  await page.waitForURL(/\/vms\/[^/]+$/)
  await page.waitForSelector(`h1:has-text("${name}")`)
  await page.goto(`${url}?q=${name}`)
  await page.waitForSelector('tr[data-vm]')
  await page.click('tr[data-vm] a')
  await page.click('[data-testid=delete-vm]')
  await page.click('.el-dialog [data-testid=submit]')
  await page.waitForURL((address) => address.pathname === '/vms')
}

/** A rule that is wrong says where; one that is right finds machines, and they are in the group because of it. */
export async function makesARule(page, url) {
  const name = `e2e-rule-${Date.now().toString(36)}`
  await page.goto(url)
  await page.click('[data-testid=new-group]')
  await page.fill('input[name=group-name]', name)
  // The refusal of the preview is an answer to what is typed.
  page.forgive(/status of 4\d\d/)
  await page.fill('textarea[name=group-rule]', 'name ~~ "*"')
  await page.waitForSelector('[data-testid=rule-problem] mark')
  const mark = await page.innerText('[data-testid=rule-problem] .there')
  if (!mark.startsWith('name ~')) throw new Error(`the mark is in "${mark}"`)
  await page.fill('textarea[name=group-rule]', 'name ~ "*" and not name = "no such machine"')
  await page.waitForSelector('[data-testid=rule-found]')
  await page.click('.el-dialog [data-testid=submit]')
  await page.waitForURL(/\/groups\/[^/]+$/)
  await page.waitForSelector('[data-testid=rule]')
  await page.waitForSelector('tr[data-member] .tag')
  await page.click('main .page-head .danger')
  await page.click('.el-dialog [data-testid=submit]')
  await page.waitForURL((address) => address.pathname === '/groups')
}
