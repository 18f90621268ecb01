/**
 * Takes the README's pictures of a running vmscope with guests; best after it has run for a quarter of an hour.
 *
 *   npm run pictures -- --base http://127.0.0.1:8780 --user NAME --password WORD [--out ../../docs/images] [--chromium PATH]
 */
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { watchFor } from './inspect.mjs'
import { logIn } from './session.mjs'

const { values: options } = parseArgs({
  options: {
    base: { type: 'string' },
    user: { type: 'string' },
    password: { type: 'string' },
    out: { type: 'string', default: '../../docs/images' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
})
if (!options.base) throw new Error('say where vmscope listens: --base http://127.0.0.1:PORT')
if (!options.user || !options.password) throw new Error('say who logs in: --user NAME --password WORD')

/** Low, because a picture of the whole page is at least as high as the window. */
const WINDOW = { width: 1600, height: 400 }
/** Live lines need some samples to be lines. */
const LIVE_MS = 8000

async function picturedVm(page) {
  const answer = await page.request.get(new URL('/api/v1/vms?state=running&sort=name', options.base).href)
  const { items } = (await answer.json()).data
  const vm = items.find((one) => one.vcpus > 1) ?? items[0]
  if (!vm) throw new Error('no VM runs')
  return vm.id
}

const browser = await chromium.launch({ executablePath: options.chromium, args: ['--no-sandbox'] })
try {
  const context = await browser.newContext({ viewport: WINDOW, colorScheme: 'light', locale: 'en' })
  const page = watchFor(await context.newPage())
  await page.goto(new URL('/login', options.base).href)
  await logIn(page, options.user, options.password)
  const pictures = {
    'vm-detail': { path: `/vms/${await picturedVm(page)}?range=m15`, ready: '[data-chart=vm_cpu]:not([data-points="0"])' },
    overview: { path: '/', ready: '[data-testid=busiest] [data-vm]' },
    history: { path: '/history?range=m15&metrics=cpu_time_ns,disk_write_bytes', ready: '[data-chart] [data-series]' },
    wall: { path: '/wall?size=large', ready: '[data-vm] [data-testid=value]' },
  }
  for (const [name, { path, ready }] of Object.entries(pictures)) {
    await page.goto(new URL(path, options.base).href)
    await page.waitForSelector(ready)
    await page.waitForTimeout(LIVE_MS)
    await page.screenshot({ path: `${options.out}/${name}.png`, fullPage: true })
  }
} finally {
  await browser.close()
}
