/**
 * Walks through the dashboard of a running vmscope with a real browser.
 *
 *   npm run e2e -- --base http://127.0.0.1:8780 --user NAME --password WORD [--setup-code CODE] [--shots DIR]
 *                  [--chromium PATH] [--vms] [--full]
 *
 * NAME must be a super_admin without second factor; with `--setup-code` the server is fresh, and NAME is made first. It
 * must know at least one host; with `--vms` also at least one running VM. Each language is looked at in each size, and
 * each theme in each size; `--full` looks at all combinations. Exit code 1 means that a check failed.
 */
import { mkdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import {
  comesBack,
  countsAndLists,
  filtersTheLedger,
  leadsFromTheHost,
  livePoints,
  searchesInTheAddress,
  switchesAndKeeps,
} from './behaviour.mjs'
import { asksForMore, exportsAList, fillsTheWall, marksASpan, saysWhySlow, zoomsInTheAddress } from './explore.mjs'
import { inspect, watchFor } from './inspect.mjs'
import { entersByHand, labelsMany, makesARule, savesAView, sortsByTwo } from './inventory.mjs'
import { tellsTheStory } from './people.mjs'
import { managed, watched } from './places.mjs'
import { keepsTheForm, logIn, setsUp } from './session.mjs'

const { values: options } = parseArgs({
  options: {
    base: { type: 'string' },
    user: { type: 'string' },
    password: { type: 'string' },
    'setup-code': { type: 'string' },
    shots: { type: 'string' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    vms: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
  },
})
if (!options.base) throw new Error('say where vmscope listens: --base http://127.0.0.1:PORT')
if (!options.user || !options.password) throw new Error('say who logs in: --user NAME --password WORD')
if (options.shots) mkdirSync(options.shots, { recursive: true })

const LANGUAGES = ['en', 'zh-CN', 'ja-JP']
const THEMES = ['light', 'dark']
const SIZES = {
  wide: { width: 1600, height: 1000 },
  phone: { width: 390, height: 844 },
}

const TELLING_LOOKS = [
  ['en', 'light', 'wide'],
  ['zh-CN', 'dark', 'wide'],
  ['ja-JP', 'light', 'wide'],
  ['en', 'dark', 'phone'],
  ['zh-CN', 'light', 'phone'],
  ['ja-JP', 'dark', 'phone'],
]
const ALL_LOOKS = Object.keys(SIZES).flatMap((size) =>
  THEMES.flatMap((theme) => LANGUAGES.map((language) => [language, theme, size])),
)

const failures = []
let checks = 0
/** The session of `options.user`, handed from one context to the next: a login costs, and they are limited. */
let session

async function check(name, page, action) {
  checks += 1
  try {
    await action(page)
    const complaints = page.complaints.splice(0)
    if (complaints.length > 0) throw new Error(complaints.join('\n  '))
    process.stdout.write(`ok    ${name}\n`)
  } catch (error) {
    failures.push(name)
    page.complaints.splice(0)
    if (options.shots) await page.screenshot({ path: `${options.shots}/failed-${failures.length}.png` })
    process.stdout.write(`FAIL  ${name}\n  ${error instanceof Error ? error.message : String(error)}\n`)
  }
}

/** A page in a language, a theme and a size; of `options.user` unless `stranger`. */
async function open(browser, { language = 'en', theme = 'light', size = 'wide', stranger = false }) {
  const context = await browser.newContext({
    viewport: SIZES[size],
    colorScheme: theme,
    locale: language,
    storageState: stranger ? undefined : session,
  })
  // What an earlier page chose came along with the session.
  await context.addInitScript((tag) => {
    if (sessionStorage.getItem('e2e')) return
    sessionStorage.setItem('e2e', 'begun')
    localStorage.setItem('vmscope.language', tag)
    localStorage.removeItem('vmscope.theme')
  }, language)
  return watchFor(await context.newPage())
}

/** Keeps the session as it is now: it may have been renewed. */
async function close(page, stranger = false) {
  if (!stranger) session = await page.context().storageState()
  await page.context().close()
}

async function look(browser, at, language, theme, size, stranger = false) {
  const page = await open(browser, { language, theme, size, stranger })
  for (const [name, place] of Object.entries(at)) {
    await check(`${name} ${language} ${theme} ${size}`, page, async () => {
      await page.goto(new URL(place.path, options.base).href)
      await page.waitForSelector(place.ready, { timeout: 15_000, state: place.attached ? 'attached' : 'visible' })
      await place.act?.(page)
      if (options.shots) {
        await page.screenshot({ path: `${options.shots}/${name}-${language}-${theme}-${size}.png` })
      }
      await inspect(page, language)
    })
  }
  await close(page, stranger)
}

/** The very first page, in each look; then the set-up itself, or a login. */
async function enter(browser, looks) {
  const code = options['setup-code']
  if (code) {
    for (const [language, theme, size] of looks) {
      await look(browser, { setup: { path: '/setup', ready: 'input[name=code]' } }, language, theme, size, true)
    }
  }
  const page = await open(browser, { stranger: true })
  if (code) {
    await check('a fresh installation is set up with its code', page, () => setsUp(page, options.base, { ...options, code }))
  } else {
    await check('the administrator logs in', page, async () => {
      await page.goto(new URL('/login', options.base).href)
      await logIn(page, options.user, options.password)
    })
  }
  await close(page)
}

async function tell(browser) {
  for (const language of LANGUAGES) {
    const admin = await open(browser, { language })
    const guest = await open(browser, { language, stranger: true })
    await check(`a colleague with a scoped role is denied, and the audit tells (${language})`, admin, async () => {
      await tellsTheStory(admin, guest, options.base, language)
      admin.complaints.push(...guest.complaints)
    })
    await close(guest, true)
    await close(admin)
  }
}

/** What needs machines that run. */
async function behaveWithVms(browser, at) {
  const page = await open(browser, {})
  const url = (path) => new URL(path, options.base).href
  await check('a VM says what holds it up', page, () => saysWhySlow(page, url(at.vm.path)))
  await check('a span is marked in a chart', page, () => marksASpan(page, url(`${at.vm.path}?range=m15`)))
  await check('the explorer keeps its window in the address', page, () => zoomsInTheAddress(page, url(`/history?range=m15&of=${at.vm.path.split('/').at(-1)}`)))
  await check('the explorer shows several metrics', page, () => asksForMore(page, url('/history')))
  await check('the list is ordered by two columns', page, () => sortsByTwo(page, url('/vms')))
  await check('a view of the list has a name', page, () => savesAView(page, url('/vms')))
  await check('many machines get a label together', page, () => labelsMany(page, url('/vms')))
  await check('a rule says where it is wrong, and finds machines', page, () => makesARule(page, url('/groups')))
  await check('the wall is filled by the feed', page, () => fillsTheWall(page, url('/wall')))
  await check('a list is exported at once and in the background', page, () => exportsAList(page, url('/vms'), url('/exports')))
  await close(page)
}

async function behave(browser, at) {
  const page = await open(browser, {})
  const url = (path) => new URL(path, options.base).href
  const charts = at.vm ?? at.host
  await check('live charts get new points', page, () => livePoints(page, url(charts.path)))
  await check('a lost connection comes back by itself', page, () => comesBack(page, url(charts.path)))
  await check('a state leads to as many VMs as it counts', page, () => countsAndLists(page, url('/')))
  await check('the list keeps its search in the address', page, () => searchesInTheAddress(page, url(at.vms.path)))
  await check('the ledger is filtered in the address', page, () => filtersTheLedger(page, url(at.gaps.path)))
  await check('a host leads to its part of the ledger', page, () => leadsFromTheHost(page, url(at.host.path)))
  await check('a machine is entered by hand and deleted', page, () => entersByHand(page, url('/vms')))
  await check('a session that ended keeps a half-filled form', page, () => keepsTheForm(page, options.base, options))
  await check('language and theme are switched and kept', page, () => switchesAndKeeps(page, url('/')))
  await close(page)
}

/** Asks the server as the administrator. */
async function asker(browser) {
  const context = await browser.newContext({ storageState: session })
  return async (path) => {
    const response = await context.request.get(new URL(`/api/v1${path}`, options.base).href)
    const body = await response.json()
    if (!response.ok() || body.code !== 0) throw new Error(`${path}: ${response.status()} ${body.message}`)
    return body.data
  }
}

const browser = await chromium.launch({ executablePath: options.chromium, args: ['--no-sandbox'] })
try {
  const looks = options.full ? ALL_LOOKS : TELLING_LOOKS
  await enter(browser, looks)
  await tell(browser)
  const api = await asker(browser)
  const at = await watched(api, options.vms)
  const places = { ...at, ...(await managed(api)) }
  for (const [language, theme, size] of looks) {
    await look(browser, { login: { path: '/login', ready: 'input[name=username]' } }, language, theme, size, true)
    await look(browser, places, language, theme, size)
  }
  if (at.vm) await behaveWithVms(browser, at)
  await behave(browser, at)
} finally {
  await browser.close()
}
process.stdout.write(`${checks} checks, ${failures.length} failed\n`)
process.exitCode = failures.length > 0 ? 1 : 0
