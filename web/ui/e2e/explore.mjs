/** What the history explorer, the charts of a VM, the wall and the exports do. */

const CHART = '[data-chart]:not([data-points="0"])'

/** Waits until the address says something that it did not say before. */
async function addressChanges(page, action, pattern) {
  await action()
  await page.waitForURL(pattern)
}

/** A part of the explorer's window is in the address, survives a reload, and is left again. */
export async function zoomsInTheAddress(page, url) {
  await page.goto(url)
  await page.waitForSelector(CHART)
  await addressChanges(page, () => page.click('[data-testid=closer]'), /span=\d+-\d+/)
  await page.waitForSelector('[data-testid=fixed]')
  const first = new URL(page.url()).searchParams.get('span')
  await page.reload()
  // A server that has just begun may have no samples in that part.
  await page.waitForSelector('[data-chart]')
  // By keys, as whoever has no mouse does.
  await page.focus('[data-chart] [role=application]')
  await page.keyboard.press('ArrowLeft')
  await page.waitForURL((address) => address.searchParams.get('span') !== first)
  await page.keyboard.press('0')
  await page.waitForURL((address) => !address.searchParams.has('span'))
}

/** What is dragged over is looked at closer; a double click shows the whole again. */
export async function marksASpan(page, url) {
  await page.goto(url)
  await page.waitForSelector(CHART)
  const over = page.locator(`${CHART} .u-over`).first()
  const { x, y, width, height } = await over.boundingBox()
  await page.mouse.move(x + width * 0.4, y + height / 2)
  await page.mouse.down()
  await page.mouse.move(x + width * 0.7, y + height / 2, { steps: 5 })
  await addressChanges(page, () => page.mouse.up(), /span=\d+-\d+/)
  await page.mouse.dblclick(x + width / 2, y + height / 2)
  await page.waitForURL((address) => !address.searchParams.has('span'))
}

/** Another metric is another chart; a line that is switched off is so in each of them. */
export async function asksForMore(page, url) {
  await page.goto(`${url}?metrics=cpu_time_ns,memory_used_bytes&range=m15`)
  await page.waitForSelector('[data-chart=cpu_time_ns]')
  await page.waitForSelector('[data-chart=memory_used_bytes]')
  await page.locator('[data-series] button').first().click()
  const off = await page.locator('[data-series].off').count()
  if (off !== 2) throw new Error(`${off} lines are switched off, instead of one in each of two charts`)
  await page.selectOption('select[name=function]', 'max')
  await page.waitForURL(/function=max/)
  await page.selectOption('select[name=compare]', 'h1')
  await page.waitForURL(/compare=h1/)
  await page.waitForSelector(CHART)
}

/** A VM's page says what holds the VM up, with a verdict. */
export async function saysWhySlow(page, url) {
  await page.goto(url)
  await page.waitForSelector('[data-testid=slow][data-verdict]')
  if ((await page.innerText('[data-testid=slow] .verdict')).trim() === '') throw new Error('the verdict is empty')
}

/** Tiles of the wall get their figures from the feed. */
export async function fillsTheWall(page, url) {
  await page.goto(url)
  await page.waitForFunction(() => [...document.querySelectorAll('[data-vm] [data-testid=value]')].some((one) => /\d/.test(one.textContent)))
  await page.selectOption('select[name=wall-metric]', 'memory')
  await page.waitForURL(/metric=memory/)
  await page.waitForFunction(() => [...document.querySelectorAll('[data-vm] [data-testid=value]')].some((one) => /B/.test(one.textContent)))
}

/** A list is downloaded at once, and made in the background: then its file is fetched. */
export async function exportsAList(page, url, exports_url) {
  await page.goto(url)
  await page.waitForSelector('[data-testid=total]')
  const fetched = async (action) => {
    const download = page.waitForEvent('download')
    await action()
    const stream = await (await download).createReadStream()
    let text = ''
    for await (const part of stream) text += part
    if (text.trim() === '') throw new Error('the file is empty')
  }
  await page.click('[data-testid=export] > button')
  await fetched(() => page.click('[data-export=csv]'))
  if ((await page.locator('[data-export-job=jsonl]:visible').count()) === 0) await page.click('[data-testid=export] > button')
  // Whoever leaves before the answer takes the request back.
  const asked = page.waitForResponse((answer) => answer.request().method() === 'POST' && answer.url().endsWith('/api/v1/exports'))
  await page.click('[data-export-job=jsonl]')
  const answer = await asked
  if (!answer.ok()) throw new Error(`the export is refused: ${answer.status()}`)
  await page.goto(exports_url)
  await page.locator('tr[data-export-state=done]').first().waitFor({ timeout: 60_000 })
  await fetched(() => page.locator('[data-testid=download]').first().click())
}
