/** Logging in through the real form, the first set-up, and codes of a second factor. */
import { createHmac } from 'node:crypto'

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const STEP_S = 30

/** What an authenticator app shows for `secret`, `steps` away from now. */
export function totp(secret, steps = 0) {
  const bits = [...secret.replace(/[\s=]/g, '').toUpperCase()].map((one) => BASE32.indexOf(one).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 1000 / STEP_S) + steps))
  const hash = createHmac('sha1', key).update(counter).digest()
  const at = hash[19] & 15
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

/** Sends the form on the page; when there were too many logins from here, once more when the server allows it. */
async function send(page, button, path) {
  for (;;) {
    const answer = page.waitForResponse((response) => new URL(response.url()).pathname === `/api/v1/${path}`)
    await page.click(button)
    const response = await answer
    if (response.status() !== 429) return response
    const wait_s = Number(response.headers()['retry-after'] ?? 1)
    await page.waitForTimeout((wait_s + 1) * 1000)
    page.complaints.splice(0)
  }
}

/** Fills in name and password; `code` gives a second factor when one is asked for. */
export async function logIn(page, user, password, code) {
  await page.fill('input[name=username]', user)
  await page.fill('input[name=password]', password)
  // The answer that asks for the second factor is a refusal.
  if (code) page.forgive(/status of 401/)
  const response = await send(page, '[data-testid=login]', 'auth/login')
  if (code) {
    await page.waitForSelector('input[name=one-time-code]')
    await page.fill('input[name=one-time-code]', code())
    await send(page, '[data-testid=login]', 'auth/login')
  } else if (response.status() !== 200) throw new Error(`${user} can't log in: ${(await response.json()).message}`)
  await page.waitForSelector('[data-testid=user-menu]')
}

/** Logs out by the menu. */
export async function logOut(page) {
  await page.click('[data-testid=user-menu] button')
  await page.click('[data-testid=logout]')
  await page.waitForURL((address) => address.pathname === '/login')
  await page.waitForSelector('input[name=username]')
}

/** A fresh installation leads to its set-up, refuses a wrong code, and makes its first administrator with the right one. */
export async function setsUp(page, base, { code, user, password }) {
  await page.goto(new URL('/hosts', base).href)
  await page.waitForURL((address) => address.pathname === '/setup')
  await page.fill('input[name=name]', user)
  await page.fill('input[autocomplete=new-password]', password)
  await page.fill('input[name=code]', '0000-0000-0000-0000')
  page.forgive(/status of 40[013]/)
  await page.click('[data-testid=setup]')
  await page.waitForSelector('form [role=alert]')
  const kept = await page.inputValue('input[name=name]')
  if (kept !== user) throw new Error('the refused form has lost what was typed')
  await page.fill('input[name=code]', code)
  await page.click('[data-testid=setup]')
  await page.waitForSelector('[data-testid=user-menu]')
  await page.goto(new URL('/setup', base).href)
  await page.waitForURL((address) => address.pathname !== '/setup')
}

/** A session that has ended asks for a login over the page; what was typed is still there, and is sent after it. */
export async function keepsTheForm(page, base, { user, password }) {
  const name = `kept-${Date.now().toString(36)}`
  await page.goto(new URL('/users', base).href)
  await page.click('[data-testid=new-user]')
  await page.fill('input[name=new-name]', name)
  await page.fill('input[autocomplete=new-password]', password)
  await page.context().clearCookies()
  page.forgive(/status of 401|WebSocket/)
  await page.click('[data-testid=submit]')
  await page.waitForSelector('.login-dialog input[name=password]')
  const filled = await page.inputValue('.login-dialog input[name=username]')
  if (filled !== user) throw new Error(`the dialog asks ${filled} to log in, not ${user}`)
  if ((await page.inputValue('input[name=new-name]')) !== name) throw new Error('the form has lost what was typed')
  await page.fill('.login-dialog input[name=password]', password)
  await send(page, '.login-dialog [data-testid=login]', 'auth/login')
  await page.waitForURL(/\/users\/[^/]+$/)
  await page.waitForSelector(`h1:has-text("${name}")`)
  await page.waitForSelector('[data-testid=connection][data-state=open]', { timeout: 20_000 })
}
