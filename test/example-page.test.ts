// The example's page in a real browser. CHROMIUM is the browser that the set-up found; without one the page goes untested.

import assert from 'node:assert/strict'
import { type Browser, chromium, type Page } from 'playwright-core'
import { openTestShop, type TestShop } from './example-shop.js'
import { waitUntil } from './support/waiting.js'

const SWITCHES = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

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

  it('fits a telephone', async () => {
    await page.setViewportSize({ width: 360, height: 740 })
    await place('阿里山高山茶 150 g,附贈品茗杯組')
    const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    assert.equal(overflow, 0)
    await page.setViewportSize({ width: 1280, height: 720 })
  })
})
