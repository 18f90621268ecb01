/**
 * Measures how smoothly the history explorer pans and zooms: frames a second while the window of time moves at each frame.
 *
 *   npm run frames -- --base http://127.0.0.1:8780 --user NAME --password WORD [--points 10000] [--lines 1]
 *                     [--seconds 5] [--least 0] [--chromium PATH]
 *
 * The browser answers the history's question itself with as many points as wanted, of VMs that the server knows by no name:
 * what is measured is the page. Exit code 1 when fewer than `--least` frames were drawn a second.
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
    points: { type: 'string', default: '10000' },
    lines: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '5' },
    least: { type: 'string', default: '0' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
})
if (!options.base) throw new Error('say where vmscope listens: --base http://127.0.0.1:PORT')
if (!options.user || !options.password) throw new Error('say who logs in: --user NAME --password WORD')

/** Noise around a daily wave, with an outage in it. */
function answer({ from, to, metrics }) {
  const points = Number(options.points)
  const [from_ms, to_ms] = [Date.parse(from), Date.parse(to)]
  const times = Array.from({ length: points }, (_, at) => from_ms + (at * (to_ms - from_ms)) / points)
  const missing = (at) => at > points * 0.4 && at < points * 0.42
  const host = { id: '00000000-0000-4000-8000-000000000000', name: 'measured' }
  const value = (at, line) => 0.5 + line + 0.3 * Math.sin((at / points) * 40 + line) + ((at * 7919) % 101) / 1000
  const series = Array.from({ length: Number(options.lines) }, (_, line) => ({
    entity: { id: `vm:${line}`, name: `measured-${line}`, host, vm: { id: String(line), name: `measured-${line}` } },
    metric: metrics[0],
    unit: 's/s',
    values: times.map((_time, at) => (missing(at) ? null : value(at, line))),
  }))
  const gap = { entity: `host:${host.id}`, from: new Date(times[Math.floor(points * 0.4)]), to: new Date(times[Math.ceil(points * 0.42)]), cause: 'agent_down', group: 'all', ticks: null }
  const tiers = [{ tier: 'raw', from, to }]
  return { kind: 'vm', from, to, step_s: 0, function: 'avg', tiers, times, series, gaps: [gap], truncated: false }
}

/** Turns the wheel at each frame, as whoever pans to and fro and zooms in and out does; the lengths of the frames in ms. */
async function moved(seconds) {
  const over = document.querySelector('[data-chart] .u-over')
  const { left, top, width, height } = over.getBoundingClientRect()
  const at = { clientX: left + width * 0.6, clientY: top + height / 2, bubbles: true, cancelable: true }
  const lengths = []
  let last
  await new Promise((resolve) => {
    const end = performance.now() + seconds * 1000
    const turn = (now) => {
      if (last !== undefined) lengths.push(now - last)
      last = now
      if (now > end) {
        resolve()
        return
      }
      const wave = Math.sin(lengths.length / 20)
      const pans = Math.floor(lengths.length / 60) % 2 === 0
      over.dispatchEvent(new WheelEvent('wheel', pans ? { ...at, deltaY: 12 * wave, shiftKey: true } : { ...at, deltaY: 9 * wave, ctrlKey: true }))
      requestAnimationFrame(turn)
    }
    requestAnimationFrame(turn)
  })
  return lengths
}

const browser = await chromium.launch({ executablePath: options.chromium, args: ['--no-sandbox'] })
try {
  const context = await browser.newContext({ viewport: { width: 1600, height: 1000 }, locale: 'en' })
  const page = watchFor(await context.newPage())
  let asked = 0
  await page.route('**/api/v1/history/query', async (route) => {
    asked += 1
    await route.fulfill({ json: { code: 0, message: 'ok', data: answer(route.request().postDataJSON()) } })
  })
  await page.goto(new URL('/login?next=/history', options.base).href)
  await logIn(page, options.user, options.password)
  const chart = page.locator('[data-chart]').first()
  await chart.waitFor()
  await page.waitForFunction((least) => Number(document.querySelector('[data-chart]')?.getAttribute('data-points')) > least, Number(options.points) * 0.9)
  const lengths = (await page.evaluate(moved, Number(options.seconds))).sort((a, b) => a - b)
  const sum = lengths.reduce((all, one) => all + one, 0)
  const rate = (1000 * lengths.length) / sum
  const quantile = (share) => lengths[Math.min(lengths.length - 1, Math.floor(lengths.length * share))].toFixed(1)
  process.stdout.write(
    `${options.lines} x ${options.points} points: ${rate.toFixed(1)} frames/s, frame p50 ${quantile(0.5)} ms, p95 ${quantile(0.95)} ms, p99 ${quantile(0.99)} ms, longest ${quantile(1)} ms\n`,
  )
  // The window rests at the end: then, and only then, the server is asked for what is in it.
  const before = asked
  await page.waitForURL(/span=/)
  while (asked === before) await page.waitForTimeout(50)
  if (page.complaints.length > 0) throw new Error(page.complaints.join('\n'))
  if (rate < Number(options.least)) process.exitCode = 1
} finally {
  await browser.close()
}
