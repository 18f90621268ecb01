/** What must hold on every page, whatever it shows. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/**
 * Collects what the browser complains about in `page.complaints`: errors, warnings, CSP violations, foreign requests. The
 * browser also complains of each request that is refused: a check that provokes refusals says so by `page.forgive`.
 */
export function watchFor(page) {
  page.complaints = []
  page.forgiven = []
  page.forgive = (pattern) => page.forgiven.push(pattern)
  page.on('pageerror', (error) => page.complaints.push(`error: ${error.message}`))
  page.on('console', (message) => {
    const text = message.text()
    if (!['error', 'warning'].includes(message.type()) || page.forgiven.some((one) => one.test(text))) return
    page.complaints.push(`console: ${text}`)
  })
  page.on('request', (request) => {
    const page_url = page.url()
    if (!page_url.startsWith('http') || request.url().startsWith('data:')) return
    if (new URL(request.url()).host !== new URL(page_url).host) page.complaints.push(`foreign request: ${request.url()}`)
  })
  return page
}

async function language(page, expected) {
  const found = await page.evaluate(() => document.documentElement.lang)
  if (found !== expected) throw new Error(`the page says lang=${found} instead of ${expected}`)
}

/** A text key that was not translated shows as itself: `chart.vm_cpu`. */
async function translated(page) {
  const texts = await page.evaluate(() => {
    const attributes = [...document.querySelectorAll('[aria-label],[title],[placeholder]')].filter((element) => !element.matches('.mono')).flatMap((element) => [
      element.getAttribute('aria-label') ?? '',
      element.getAttribute('title') ?? '',
      element.getAttribute('placeholder') ?? '',
    ])
    // Names of permissions and actions, which are the same in each language, look like keys and are set in the fixed font.
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    const words = []
    while (walker.nextNode()) {
      if (!walker.currentNode.parentElement.closest('.mono, script, style')) words.push(walker.currentNode.textContent)
    }
    return [document.title, ...words, ...attributes].join('\n')
  })
  const sections =
    'nav|title|settings|connection|problem|state|reporting|overview|list|column|fact|source|range|section|chart|line|cause|gap|group|health|heading|engine|activity|unit|menu|denied|form|login|setup|field|password|profile|two_factor|session|token|expiry|user|grant|scope|access|why|role|role_name|role_help|vm_group|audit|target|action|compare|slow|explore|part|metric|top|label|machine|view|batch|rule|wall|export'
  const keys = texts.match(new RegExp(`(?<![\\w./-])(?:${sections})\\.(?!(?:read|write|create|manage)\\b)[a-z0-9_]+(?![\\w.])`, 'g'))
  if (keys) throw new Error(`untranslated: ${[...new Set(keys)].join(', ')}`)
  if (/undefined|NaN|\[object|Invalid Date/.test(texts)) throw new Error('the page shows a programming value')
}

async function fits(page) {
  const { content, view } = await page.evaluate(() => ({
    content: document.documentElement.scrollWidth,
    view: document.documentElement.clientWidth,
  }))
  if (content > view) throw new Error(`the page is ${content - view} px wider than the window`)
}

/** What fades in has its colours at the end only. */
async function settled(page) {
  await page.evaluate(async () => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve))
    await frame()
    await frame()
    const ends = (animation) => Number.isFinite(animation.effect?.getComputedTiming().endTime)
    // One that is taken back counts as over.
    await Promise.allSettled(document.getAnimations().filter(ends).map((animation) => animation.finished))
  })
}

async function accessible(page) {
  await settled(page)
  await page.evaluate(axe)
  const violations = await page.evaluate(async () => {
    const result = await globalThis.axe.run(document, { resultTypes: ['violations'] })
    return result.violations.map(
      (one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.target.join(' ')).slice(0, 3).join(' | ')}`,
    )
  })
  if (violations.length > 0) throw new Error(`axe: ${violations.join('\n  ')}`)
}

/** All of it. */
export async function inspect(page, expected_language) {
  await language(page, expected_language)
  await translated(page)
  await fits(page)
  await accessible(page)
}
