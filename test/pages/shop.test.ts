// The example shop in a real browser, as `npm run demo -- --worker separate` opens it: deadlines pass, things break, and nothing is lost. CHROMIUM is the
// browser that the set-up found. SHOP_PICTURES names a folder for a picture of each page.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import axe from 'axe-core'
import { type Browser, type BrowserContext, chromium, type Page, type Request } from 'playwright-core'
import { holdsFor, waitUntil } from '../support/waiting.js'
import { type Demo, openDemo } from './demo.js'
import { SWITCHES } from './switches.js'

const PHONE = { width: 390, height: 844 }
const DESKTOP = { width: 1200, height: 860 }

describe('the example shop in a browser', function () {
  this.timeout(90_000)
  const problems: string[] = []
  let demo: Demo
  let address: string
  let browser: Browser
  let context: BrowserContext
  let page: Page

  before(async function () {
    const executablePath = process.env.CHROMIUM
    if (executablePath === undefined) return this.skip()
    demo = await openDemo({ payAfter: '8s', separate: true })
    address = demo.address
    browser = await chromium.launch({ executablePath, args: SWITCHES })
    ;[context, page] = await visitor({ viewport: DESKTOP })
    await page.goto(`${address}/staff/sign-in`)
    await page.getByLabel('Password').fill('tea')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { level: 1, name: 'To ship' }).waitFor()
  })

  after(async () => {
    await browser?.close()
    await demo?.close()
  })

  afterEach(() => assert.deepEqual(problems.splice(0), []))

  async function visitor(options: Parameters<Browser['newContext']>[0]): Promise<[BrowserContext, Page]> {
    const opened = await browser.newContext({ reducedMotion: 'reduce', locale: 'en-GB', ...options })
    const its = await opened.newPage()
    its.on('pageerror', (error) => problems.push(String(error)))
    its.on('console', (message) => {
      const { url } = message.location()
      if (message.type() === 'error' && !url.includes('/nothing-here')) problems.push(`${message.text()} ${url}`)
    })
    return [opened, its]
  }

  async function place(): Promise<string> {
    await page.goto(address)
    await page.getByRole('button', { name: 'Add to basket: Sun Moon Lake ruby' }).click()
    await page.goto(`${address}/basket`)
    await page.getByRole('button', { name: 'Place order' }).click()
    await page.waitForURL(/\/orders\/\d+$/)
    return page.url()
  }

  const click = (name: string) => page.getByRole('button', { name, exact: true }).click()
  const status = () => page.locator('.status').innerText()
  const countdown = () => page.locator('order-countdown').innerText()
  const figures = () => demo.figures()
  const breakIt = (name: string) => demo.press(name)

  async function shipped(): Promise<string> {
    const url = await place()
    await click('Pay now')
    await click('Ship')
    await page.locator('order-countdown[state=running]').waitFor()
    return url
  }

  async function isPunctual(how: RegExp): Promise<void> {
    const happened = await page.locator('.happened').first().innerText()
    assert.match(happened, how)
    const [, late] = /UTC: ([\d.]+) ms after it, by the (alarm|event|sweep)/.exec(happened) ?? []
    assert.ok(Number(late) < 1_000, happened)
  }

  async function isSettled(url: string, as: string, within = 20_000): Promise<void> {
    await page.goto(url)
    await waitUntil(async () => (await status()) === as, { within, what: `${url} to be ${as}` })
  }

  it('cancels an order that is not paid, at the end of its countdown, and says how it came', async () => {
    await place()
    await waitUntil(async () => /^Cancelled unless paid in \d\.\d s$/.test(await countdown()))
    await page.locator('.status.s0').waitFor({ timeout: 15_000 })
    await isPunctual(/Cancelled by its deadline/)
  })

  it('tells a screen reader what became of an order, and does not lose the place of a keyboard', async () => {
    const url = await place()
    await page.getByRole('button', { name: 'Pay now' }).focus()
    await page.locator('.status.s0').waitFor({ timeout: 15_000 })
    assert.equal(await page.locator('#news').innerText(), `Order ${/\d+$/.exec(url)?.[0]} Cancelled`)
    assert.equal(await page.evaluate('document.activeElement.localName'), 'main')
  })

  it('shows what happened once the shop answers again', async () => {
    const url = await place()
    let refused = 0
    await page.route(url, (route) => {
      refused += 1
      return refused === 1 ? route.abort() : route.fulfill({ status: 503, body: 'away' })
    })
    await waitUntil(() => refused === 2, { within: 30_000 })
    await page.unroute(url)
    await page.locator('.status.s0').waitFor({ timeout: 15_000 })
    problems.splice(0) // the browser reports both itself
  })

  it('loads an order once again, and not for ever, whose timer the staff has paused or removed', async () => {
    const url = await shipped()
    const id = /\d+$/.exec(url)?.[0]
    let loads = 0
    const count = (request: Request) => {
      if (request.url() === url) loads += 1
    }
    page.on('request', count)
    await demo.sql(`UPDATE shop_orders SET "confirmDueAt" = NULL, "confirmLeftMs" = 600000 WHERE id = ${id}`)
    await waitUntil(async () => (await countdown()) === 'Paused: 10:00 left')
    await demo.sql(`UPDATE shop_orders SET "confirmLeftMs" = NULL WHERE id = ${id}`)
    await page.locator('order-countdown[state=ended]').waitFor({ state: 'attached' })
    await holdsFor(4_000, () => loads <= 3)
    page.off('request', count)
  })

  it('confirms a shipped order by itself; extends; a dispute pauses it and resumes it', async () => {
    await shipped()
    await click('Give me 30 s more')
    await waitUntil(async () => /in 0:3\d$/.test(await countdown()))
    await click('Open a dispute')
    await waitUntil(async () => /^Dispute open: 0:3\d left/.test(await countdown()))
    const left = await countdown()
    await click('Close the dispute')
    await waitUntil(async () => /^Confirms itself in 0:3\d$/.test(await countdown()), { what: `the countdown to go on after ${left}` })
    await shipped()
    await page.locator('.status.s5').waitFor({ timeout: 20_000 })
    await isPunctual(/Confirmed by its deadline/)
    await page.goto(`${address}/orders`)
    await isPunctual(/Confirmed by its deadline/)
    await demo.sql('DELETE FROM order_timers_history') // as `order-timers prune` does
    await page.reload()
    assert.doesNotMatch(await page.locator('.order').first().innerText(), /by the/)
  })

  it('confirms by hand, and says by whom and when; what comes too late is refused', async () => {
    const url = await shipped()
    await click('I have received it')
    assert.match(await page.locator('.happened').innerText(), /Receipt confirmed by the buyer\s+When\s+\d\d:\d\d:\d\d\.\d{3} UTC$/)
    const refused = await page.request.post(`${url}/confirm`)
    assert.equal(refused.status(), 409)
  })

  it('shows an order only to its customer', async () => {
    const url = await place()
    const [other, its] = await visitor({})
    const found = await its.request.get(url)
    assert.equal(found.status(), 404)
    const id = /\d+$/.exec(url)?.[0]
    const { countdowns } = await (await its.request.get(`${address}/countdown/now?order_pay=${id}`)).json()
    assert.equal(countdowns[0].state, 'absent')
    await other.close()
  })

  describe('loses nothing', () => {
    afterEach(async () => {
      const { now } = await figures()
      assert.deepEqual([now.lost, now.early, now.twice], [0, 0, 0])
    })

    it('when Redis is flushed, and the listeners are cut', async () => {
      const url = await place()
      await page.goto(`${address}/break`)
      await click('Do it: Flush Redis')
      await page.getByText('No deadline is lost').waitFor()
      void breakIt('cut').catch(() => {})
      await isSettled(url, 'Cancelled')
    })

    it('when the worker is killed, and when it was stopped while orders came due', async () => {
      const killed = await place()
      await breakIt('kill')
      await isSettled(killed, 'Cancelled', 30_000)
      await waitUntil(async () => (await figures()).worker, { within: 30_000 })
      const stopped = await place()
      await breakIt('stop')
      await page.goto(stopped)
      await page.getByText('nobody settles it').waitFor({ timeout: 20_000 })
      await demo.sql(
        `INSERT INTO shop_orders (buyer, items, total, "createdAt", "updatedAt") SELECT 'x', 'x', 1, now() - interval '1 minute', now()`,
      )
      const { now } = await figures()
      assert.deepEqual([now.lost, now.overdue > 0], [0, true]) // nothing is lost where nobody was there to settle it
      assert.match(await demo.said('kill'), /no worker to kill/)
      await breakIt('start')
      await page.locator('.status.s0').waitFor({ timeout: 20_000 })
    })

    it('while the payment provider is down, and cancels nothing meanwhile', async () => {
      const url = await place()
      await breakIt('hold')
      await page.locator('order-countdown[state=held]').waitFor()
      await holdsFor(9_000, async () => (await page.locator('.status').innerText()) === 'Waiting for payment', { every: 500 })
      assert.match(await demo.said('hold'), /held already/)
      assert.match(await demo.said('webhook'), /the payment was taken/)
      assert.match(await demo.said('release'), /ends in 15 seconds/)
      await isSettled(url, 'Cancelled', 40_000)
      await waitUntil(async () => /Nothing is held/.test(await demo.said('release')), { every: 500 })
    })

    it('when a payment comes too late', async () => {
      assert.match(await demo.said('webhook'), /came after it was cancelled/)
      assert.match(String((await breakIt('webhook')).headers.get('location')), /\?did=webhook&n=\d+$/)
    })

    it('and says so where a break did not work', async () => {
      await page.goto(`${address}/break`)
      await page.route('**/break/flush', (route) => route.fulfill({ status: 503, body: 'away' }))
      await click('Do it: Flush Redis')
      await page.getByText('That did not work').waitFor()
      await page.route('**/break/figures', (route) => route.fulfill({ status: 503, body: 'away' }))
      await page.getByText('The figures cannot be read').waitFor()
      assert.equal(await page.locator('[data-figure=lost]').innerText(), '–')
      await page.unrouteAll()
      await page.locator('[data-figure=lost]').filter({ hasText: '0' }).waitFor()
      problems.splice(0) // the browser reports both itself
    })

    it('while the strip beside it shows what two subscribers of the old recipe do twice', async () => {
      await page.goto(`${address}/break`)
      await click('Two subscribers')
      await click('Place an order')
      await page.locator('.order .status.s1').waitFor()
      await page.locator('#old-figures [data-figure=twice].bad').waitFor({ timeout: 40_000 })
      await page.locator('.order').first().locator('.status.s0').waitFor()
      await click('Switch off')
    })

    it('when ten thousand orders come due at once, and the page stays live', async () => {
      await page.goto(`${address}/break`)
      await page.locator('[data-figure=settled]').filter({ hasText: /\d/ }).waitFor()
      await page.evaluate(`(() => {
        globalThis.longest = 0
        let last = performance.now()
        requestAnimationFrame(function frame(now) {
          longest = Math.max(longest, now - last)
          last = now
          requestAnimationFrame(frame)
        })
      })()`)
      await page.getByRole('button', { name: /10,000 orders at once/ }).click()
      await waitUntil(async () => (await figures()).now.settled >= 10_000, { within: 60_000, every: 500 })
      await waitUntil(async () => Number((await page.locator('[data-figure=settled]').first().innerText()).replaceAll(/\D/g, '')) >= 10_000)
      const longest = (await page.evaluate('longest')) as number
      assert.ok(longest < 2_000, `a frame took ${longest} ms`) // bench/demo.ts measures it
    })
  })

  it('has pages without a violation, in both themes, on phone and desktop, that fit the screen', async function () {
    this.timeout(180_000)
    const url = await shipped()
    const cookies = await context.cookies()
    const views = [
      { viewport: DESKTOP, colorScheme: 'light', lang: 'en' },
      { viewport: PHONE, colorScheme: 'dark', lang: 'zh-TW' },
      { viewport: PHONE, colorScheme: 'light', lang: 'en' },
      { viewport: DESKTOP, colorScheme: 'dark', lang: 'zh-TW' },
    ] as const
    const paths = [
      '/',
      '/basket',
      '/orders',
      url.slice(address.length),
      '/staff',
      '/staff/disputes',
      '/staff/overview',
      '/break',
      '/break?did=flush&n=12',
      '/staff/sign-in',
      '/nothing-here',
    ]
    for (const { viewport, colorScheme, lang } of views) {
      const [opened, its] = await visitor({ viewport, colorScheme, bypassCSP: true })
      await opened.addCookies(cookies)
      for (const path of paths) {
        await its.goto(`${address}${path}${path.includes('?') ? '&' : '?'}lang=${lang}`)
        await its.evaluate(axe.source)
        const found: axe.AxeResults = await its.evaluate(`axe.run({ resultTypes: ['violations'] })`)
        const violations = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join('; ')}`)
        assert.deepEqual(violations, [], its.url())
        const over: number = await its.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
        assert.equal(over, 0, `${its.url()} is wider than ${viewport.width}`)
        const folder = process.env.SHOP_PICTURES
        if (folder)
          await its.screenshot({
            path: join(folder, `${path.replaceAll(/[/?&=]/g, '_')}-${viewport.width}-${colorScheme}.png`),
            fullPage: true,
          })
      }
      await opened.close()
    }
  })
})
