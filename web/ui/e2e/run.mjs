/**
 * Walks through the dashboard of a running vmscope with a real browser.
 *
 *   npm run e2e -- --base http://127.0.0.1:8780 [--shots DIR] [--chromium PATH] [--vms] [--full]
 *
 * The server must know at least one host; with `--vms` also at least one running VM. Each language is looked at in each
 * size, and each theme in each size; `--full` looks at all combinations. Exit code 1 means that a check failed.
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
import { inspect, watchFor } from './inspect.mjs'

const { values: options } = parseArgs({
  options: {
    base: { type: 'string' },
    shots: { type: 'string' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    vms: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
  },
})
if (!options.base) throw new Error('say where vmscope listens: --base http://127.0.0.1:PORT')
if (options.shots) mkdirSync(options.shots, { recursive: true })

const FIRST_SAMPLES_MS = 30_000
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

async function api(path) {
  const response = await fetch(new URL(`/api/v1${path}`, options.base))
  const body = await response.json()
  if (!response.ok || body.code !== 0) throw new Error(`${path}: ${response.status} ${body.message}`)
  return body.data
}

/** The newest host and a running VM, once the first samples of a fresh server are stored. */
async function subjects() {
  const end = Date.now() + FIRST_SAMPLES_MS
  for (;;) {
    const [host] = (await api('/hosts?page_size=1&sort=-last_sample_at')).items
    const [vm] = (await api('/vms?page_size=1&state=running&sort=-name')).items
    if ((host && (vm || !options.vms)) || Date.now() > end) return { host, vm }
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

/** The addresses to visit, with what must be on the page before it is looked at. */
async function places() {
  const { host, vm } = await subjects()
  if (!host) throw new Error('the server knows no host: start an agent first')
  if (!vm && options.vms) throw new Error('the server knows no running VM, and --vms was given')
  const missing = (await api('/gaps?page_size=1')).total
  return {
    overview: { path: '/', ready: vm ? '[data-testid=busiest] [data-vm]' : '[data-host] [data-testid=value]' },
    hosts: { path: '/hosts', ready: 'tr[data-host]' },
    host: { path: `/hosts/${host.id}`, ready: '[data-chart=host_cpu]:not([data-points="0"])' },
    vms: { path: '/vms', ready: vm ? 'tr[data-vm]' : '[data-testid=total]' },
    ...(vm && { vm: { path: `/vms/${vm.id}`, ready: '[data-chart=vm_cpu]:not([data-points="0"])' } }),
    gaps: { path: '/gaps', ready: missing > 0 ? 'tr[data-gap]' : 'main .card [role=status]' },
    system: { path: '/system', ready: 'tr[data-agent]' },
    missing: { path: '/nowhere', ready: 'main h1' },
  }
}

const failures = []
let checks = 0

async function check(name, page, action) {
  checks += 1
  try {
    await action(page)
    const complaints = page.complaints.splice(0)
    if (complaints.length > 0) throw new Error(complaints.join('\n  '))
    process.stdout.write(`ok    ${name}\n`)
  } catch (error) {
    failures.push(name)
    process.stdout.write(`FAIL  ${name}\n  ${error instanceof Error ? error.message : String(error)}\n`)
  }
}

async function look(browser, at, language, theme, size) {
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme: theme, locale: language })
  const page = watchFor(await context.newPage())
  for (const [name, place] of Object.entries(at)) {
    await check(`${name} ${language} ${theme} ${size}`, page, async () => {
      await page.goto(new URL(place.path, options.base).href)
      await page.waitForSelector(place.ready, { timeout: 15_000 })
      if (options.shots) {
        await page.screenshot({ path: `${options.shots}/${name}-${language}-${theme}-${size}.png` })
      }
      await inspect(page, language)
    })
  }
  await context.close()
}

async function behave(browser, at) {
  const context = await browser.newContext({ viewport: SIZES.wide, locale: 'en' })
  const page = watchFor(await context.newPage())
  const charts = at.vm ?? at.host
  await check('live charts get new points', page, () => livePoints(page, new URL(charts.path, options.base).href))
  await check('a lost connection comes back by itself', page, () =>
    comesBack(page, new URL(charts.path, options.base).href),
  )
  await check('a state leads to as many VMs as it counts', page, () => countsAndLists(page, new URL('/', options.base).href))
  await check('the list keeps its search in the address', page, () =>
    searchesInTheAddress(page, new URL(at.vms.path, options.base).href),
  )
  await check('the ledger is filtered in the address', page, () =>
    filtersTheLedger(page, new URL(at.gaps.path, options.base).href),
  )
  await check('a host leads to its part of the ledger', page, () =>
    leadsFromTheHost(page, new URL(at.host.path, options.base).href),
  )
  await check('language and theme are switched and kept', page, () =>
    switchesAndKeeps(page, new URL('/', options.base).href),
  )
  await context.close()
}

const browser = await chromium.launch({ executablePath: options.chromium, args: ['--no-sandbox'] })
try {
  const at = await places()
  for (const [language, theme, size] of options.full ? ALL_LOOKS : TELLING_LOOKS) {
    await look(browser, at, language, theme, size)
  }
  await behave(browser, at)
} finally {
  await browser.close()
}
process.stdout.write(`${checks} checks, ${failures.length} failed\n`)
process.exitCode = failures.length > 0 ? 1 : 0
