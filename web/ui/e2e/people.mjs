/**
 * A new colleague, in one language: an administrator makes the user and gives a role within a group; the user chooses a
 * password, turns two-factor login on and logs in with it, is denied what the role does not include, and the
 * administrator finds that in the audit. Nothing here reads a text: the story is the same in each language.
 */
import { inspect } from './inspect.mjs'
import { logIn, logOut, totp } from './session.mjs'

const FIRST_PASSWORD = 'First-Password-17'
const OWN_PASSWORD = 'Own-Password-4711'

/** Makes a group with the first VM in it, if there is any. */
async function makesAGroup(page, base, name) {
  await page.goto(new URL('/groups', base).href)
  await page.click('[data-testid=new-group]')
  await page.fill('input[name=group-name]', name)
  await page.click('[data-testid=submit]')
  await page.waitForURL(/\/groups\/[^/]+$/)
  await page.waitForSelector('[data-testid=total]')
  await page.click('[data-testid=vm-choice]')
  const option = page.locator('.el-select-dropdown__item:visible').first()
  const any = await option.waitFor({ timeout: 3000 }).then(() => true, () => false)
  if (!any) return
  await option.click()
  await page.keyboard.press('Escape')
  await page.click('[data-testid=add-members]')
  await page.waitForSelector('tr[data-member]')
}

async function makesAUser(page, base, name) {
  await page.goto(new URL('/users', base).href)
  await page.click('[data-testid=new-user]')
  await page.fill('input[name=new-name]', name)
  await page.fill('input[name=new-display-name]', `${name} (e2e)`)
  await page.fill('input[autocomplete=new-password]', FIRST_PASSWORD)
  await page.click('[data-testid=submit]')
  await page.waitForURL(/\/users\/[^/]+$/)
  await page.waitForSelector('[data-testid=new-grant]')
  return page.url()
}

async function givesAScopedRole(page, group) {
  await page.click('[data-testid=new-grant]')
  const role = page.locator('select[name=role]')
  await role.locator('option[value="00000000-0000-4000-8000-000000000001"]').waitFor({ state: 'attached' })
  await role.selectOption('00000000-0000-4000-8000-000000000001')
  await page.selectOption('select[name=scope]', 'group')
  await page.click('[data-testid=group-choice]')
  await page.locator('.el-select-dropdown__item:visible', { hasText: group }).click()
  await page.selectOption('select[name=expiry]', 'd30')
  await page.click('[data-testid=submit]')
  await page.waitForSelector('tr[data-grant=viewer]')
  await page.selectOption('select[name=why-permission]', 'vm.read')
  await page.waitForSelector('[data-testid=decision]')
}

async function choosesAPassword(page, base, name) {
  await page.goto(new URL('/login', base).href)
  await logIn(page, name, FIRST_PASSWORD)
  await page.waitForURL(/\/profile\/password$/)
  await page.fill('input[name=current]', FIRST_PASSWORD)
  await page.fill('input[autocomplete=new-password]', OWN_PASSWORD)
  await page.click('main form [type=submit]')
  await page.waitForURL((address) => !address.pathname.startsWith('/profile'))
}

/** Gives the secret of the second factor. */
async function turnsOnTwoFactor(page, base, language) {
  await page.goto(new URL('/profile/two-factor', base).href)
  await page.click('main .form-foot .primary')
  await page.waitForSelector('svg.qr')
  await inspect(page, language)
  const secret = (await page.innerText('[data-testid=copy-text]')).trim()
  // Each code works once: the one before leaves the present one for the login.
  await page.fill('input[name=code]', totp(secret, -1))
  await page.click('main form [type=submit]')
  await page.waitForSelector('[data-testid=recovery-codes]')
  await inspect(page, language)
  await page.click('[data-testid=recovery-codes] .primary')
  return secret
}

async function isDenied(page, base) {
  await page.goto(new URL('/audit', base).href)
  await page.waitForSelector('[data-testid=denied]')
  if ((await page.locator('nav a[href="/audit"], nav a[href="/users"]').count()) > 0) throw new Error('the menu offers what is denied')
  // The page does not even ask; the server refuses whoever does.
  page.forgive(/status of 403/)
  const code = await page.evaluate(async () => (await (await fetch('/api/v1/audit')).json()).code)
  if (code !== 40301) throw new Error(`the server answers ${code}`)
}

async function findsTheDenial(page, base, name) {
  await page.goto(new URL(`/audit?actor=${name}&result=denied`, base).href)
  await page.waitForSelector('tr[data-result=denied]')
  await page.locator('tr[data-result=denied] .what').first().click()
  await page.waitForSelector('[data-testid=audit-detail]')
  if (!(await page.innerText('[data-testid=audit-detail]')).includes(name)) throw new Error('the entry does not name who was denied')
}

async function deletesTheUser(page, url) {
  await page.goto(url)
  await page.click('[data-testid=user-actions] button')
  await page.click('[data-testid=user-actions] .bad')
  await page.click('.el-dialog [data-testid=submit]')
  await page.waitForURL((address) => address.pathname === '/users')
}

/** All of it. `admin` is a page of somebody who may do everything, `guest` one of nobody yet; both speak `language`. */
export async function tellsTheStory(admin, guest, base, language) {
  const name = `e2e-${language.toLowerCase()}-${Date.now().toString(36)}`
  await makesAGroup(admin, base, name)
  const url = await makesAUser(admin, base, name)
  await givesAScopedRole(admin, name)
  await inspect(admin, language)
  await choosesAPassword(guest, base, name)
  const secret = await turnsOnTwoFactor(guest, base, language)
  await logOut(guest)
  await logIn(guest, name, OWN_PASSWORD, () => totp(secret))
  await isDenied(guest, base)
  await findsTheDenial(admin, base, name)
  await deletesTheUser(admin, url)
}
