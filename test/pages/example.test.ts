// The example's page in a real browser. CHROMIUM is the browser that the set-up found; without one the page goes untested.

import assert from 'node:assert/strict'
import { type Browser, chromium, type Page } from 'playwright-core'
import { openTestShop, type TestShop } from '../example-shop.js'
import { waitUntil } from '../support/waiting.js'
import { SWITCHES } from './switches.js'

describe("the example's page", function () {
  this.timeout(60_000)
  const problems: string[] = []
  let shop: TestShop
  let address: string
  let browser: Browser
  let page: Page

  before(async function () {
    const executablePath = process.env.CHROMIUM
    if (executablePath === undefined) return this.skip()
    shop = await openTestShop({ payAfter: '8s', confirmAfter: '8s' })
    address = await shop.listen(0)
    browser = await chromium.launch({ executablePath, args: SWITCHES })
    page = await browser.newPage()
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
  })

  after(async () => {
    await browser?.close()
    await shop?.close()
  })

  beforeEach(async () => {
    problems.length = 0
    await page.goto(address)
  })

  afterEach(() => assert.deepEqual([...problems, ...shop.errors.splice(0)], []))

  const rowOf = (item: string) => page.locator('#orders tr').filter({ hasText: item })

  async function place(item: string) {
    await page.getByLabel('Item').fill(item)
    await page.getByRole('button', { name: 'Place order' }).click()
    await rowOf(item).waitFor()
    return rowOf(item)
  }

  const secondsLeft = async (item: string) => Number(/in (\d+\.\d) s/.exec(await rowOf(item).locator('.next').innerText())?.[1])

  it('takes an order from placing to completion by its buttons', async () => {
    const row = await place('高山茶')
    assert.equal(await row.locator('.status').innerText(), 'placed')
    await row.getByRole('button', { name: 'Pay' }).click()
    await row.getByRole('button', { name: 'Ship' }).click()
    await row.getByRole('button', { name: 'Confirm' }).click()
    await row.locator('.status.completed').waitFor()
    assert.equal(await row.getByRole('button').count(), 0)
  })

  it('counts down without asking the shop, and shows the cancellation when it comes', async () => {
    const row = await place('包種茶')
    const before = await secondsLeft('包種茶')
    assert.ok(before > 0 && before <= 8, `${before} s left`)
    await waitUntil(async () => (await secondsLeft('包種茶')) < before, { within: 900, what: 'the countdown to move' })
    assert.match(await row.locator('.next').innerText(), /^is cancelled in/)
    await row.locator('.status.cancelled').waitFor({ timeout: 15_000 })
    assert.equal(await row.locator('.next').innerText(), '')
  })

  it('gives more time at a click', async () => {
    const row = await place('紅玉')
    await row.getByRole('button', { name: 'Pay' }).click()
    await row.getByRole('button', { name: 'Ship' }).click()
    await row.getByRole('button', { name: 'Extend' }).click()
    await waitUntil(async () => (await secondsLeft('紅玉')) > 30, { what: 'the countdown to show the new deadline' })
  })

  it('shows what customers typed as text', async () => {
    const item = `<img src=x onerror="document.title='owned'"> & <b>tea</b>`
    const row = await place(item)
    assert.equal(await row.locator('.item').innerText(), item)
    assert.equal(await page.title(), 'A tea shop with deadlines')
  })

  it('says what went wrong', async () => {
    await page.getByLabel('Item').fill('   ')
    await page.getByRole('button', { name: 'Place order' }).click()
    await page.getByRole('alert').waitFor()
    assert.equal(await page.getByRole('alert').innerText(), 'say which item, in 100 characters at most: {"item":"tea"}')
    await place('凍頂')
    assert.equal(await page.getByRole('alert').isVisible(), false)
    assert.deepEqual(problems.splice(0), ['Failed to load resource: the server responded with a status of 400 (Bad Request)'])
  })

  it('has lines that go straight across a row', async () => {
    const row = await place('白毫烏龍')
    await place('文山包種')
    const bottoms: number[] = await row.locator('td').evaluateAll((cells) => cells.map((cell) => cell.getBoundingClientRect().bottom))
    assert.equal(bottoms.length, 5)
    assert.deepEqual(new Set(bottoms).size, 1, String(bottoms))
  })

  it('has a font for what customers write', async function () {
    if (process.env.CJK_FONT === undefined) return this.skip()
    const drawn = (text: string) =>
      page.evaluate<string>(`(() => {
        const canvas = document.createElement('canvas')
        const context = canvas.getContext('2d')
        context.font = '40px ' + getComputedStyle(document.body).fontFamily
        context.fillText('${text}', 0, 40)
        return canvas.toDataURL()
      })()`)
    assert.notEqual(await drawn('茶'), await drawn('山')) // without a font both are the same box
  })

  it('says that nobody settles an order where no worker runs', async () => {
    const idle = await openTestShop({ payAfter: '1s', confirmAfter: '1s', worker: false })
    try {
      await page.goto(await idle.listen(0))
      await place('東方美人')
      const said = rowOf('東方美人').locator('.next').filter({ hasText: 'nobody settles it: is a worker running?' })
      await said.waitFor({ timeout: 15_000 })
      const seconds = async () => Number(/due for (\d+) s/.exec(await said.innerText())?.[1])
      const before = await seconds()
      await waitUntil(async () => (await seconds()) > before, { what: 'the seconds to go on' })
      await page.goto(address)
    } finally {
      await idle.close()
    }
  })

  it('fits a telephone', async () => {
    await page.setViewportSize({ width: 360, height: 740 })
    await place('阿里山高山茶 150 g,附贈品茗杯組')
    const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    assert.equal(overflow, 0)
    await page.setViewportSize({ width: 1280, height: 720 })
  })
})
