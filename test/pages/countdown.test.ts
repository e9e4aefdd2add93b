// <order-countdown> in a real browser: it counts, follows what happens to the order, speaks two languages, and comes back after its stream was cut.

import assert from 'node:assert/strict'
import express from 'express'
import { type Browser, chromium, type Page } from 'playwright-core'
import { type CountdownRouter, countdown } from '../../lib/countdown/index.js'
import { transition } from '../../lib/index.js'
import { listen } from '../admin-page/admin-shop.js'
import { openParcels, type ParcelShop } from '../life/parcels.js'
import { waitUntil } from '../support/waiting.js'
import { SWITCHES } from './switches.js'

describe('the countdown in a browser', function () {
  this.timeout(60_000)
  let shop: ParcelShop<ReturnType<typeof rules>>
  let server: Awaited<ReturnType<typeof listen>>
  let router: CountdownRouter
  let browser: Browser
  let page: Page
  let content = ''
  let streams = 0
  let isKept = false
  const problems: string[] = []

  function rules(Parcel: Parameters<Parameters<typeof openParcels>[0]>[0]) {
    return {
      parcel_confirm: transition(Parcel, { from: 4, to: 5, deadline: 'dueAt', after: '24h', pause: { keep: 'leftMs' } }),
      parcel_pay: transition(Parcel, { from: 1, to: 0, since: 'placedAt', after: '1h' }),
    }
  }

  before(async function () {
    const executablePath = process.env.CHROMIUM
    if (executablePath === undefined) return this.skip()
    shop = await openParcels(rules)
    await shop.worker()
    router = countdown(shop.timers, { authorize: (_req, _kind, id) => id !== '404' })
    const app = express().use('/shop/countdown', (req, res, next) => {
      if (req.path === '/stream') streams += 1
      if (req.path === '/stream' && isKept) res.type('text/event-stream').flushHeaders()
      else router(req, res, next)
    })
    app.get('/', (_req, res) => void res.send(content))
    server = await listen(app)
    browser = await chromium.launch({ executablePath, args: SWITCHES })
  })

  /** Each has a page of its own: some set the page's clock. */
  beforeEach(async () => {
    page = await browser.newPage()
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on(
      'console',
      (message) => message.type() === 'error' && !message.location().url.endsWith('/favicon.ico') && problems.push(message.text()),
    )
  })

  after(async () => {
    await browser?.close()
    await server?.close()
    await shop?.close()
  })

  afterEach(async () => {
    await page?.close()
    assert.deepEqual(problems.splice(0), [])
  })

  async function show(...elements: string[]) {
    content = `<!doctype html><html lang="en"><title>orders</title><script type="module" src="/shop/countdown/order-countdown.js"></script>
<script>events = []; addEventListener('countdown', ({ detail }) => events.push(detail.id + ' ' + detail.state))</script><body>${elements.join('')}`
    streams = 0
    await page.goto(server.url)
  }

  const element = (id: number, attributes = '', kind = 'parcel_confirm') =>
    `<order-countdown kind="${kind}" order="${id}" ${attributes}>…</order-countdown>`
  const textOf = (id: number) => page.locator(`order-countdown[order="${id}"]`).innerText()
  const events = () => page.evaluate('events') as Promise<string[]>

  it('counts down, says that the order is being settled, and ends', async () => {
    const id = await shop.parcel(null)
    await shop.timers.schedule('parcel_confirm', id, { after: 6_000 })
    await show(element(id, 'running="confirms itself in {time}" settling="a moment" ended="done"'))
    await waitUntil(async () => /^confirms itself in [3-6]\.\d s$/.test(await textOf(id)))
    const first = await textOf(id)
    await waitUntil(async () => (await textOf(id)) < first, { within: 1_000 })
    // Read at one moment: the text changes ten times a second.
    const [timer, whole] = await page.locator('order-countdown').evaluate((element) => {
      return [element.querySelector('[role=timer]') ?? element.shadowRoot?.querySelector('[role=timer]'), element].map((one) =>
        (one as { innerText?: string } | null)?.innerText?.trim(),
      )
    })
    assert.equal(timer, whole)
    assert.match(timer ?? '', /^confirms itself in/)
    await waitUntil(async () => (await textOf(id)) === 'done')
    assert.equal(await page.locator('order-countdown [role=status]').innerText(), 'done')
    const told = await events()
    assert.deepEqual([told[0], told.at(-1)], [`${id} running`, `${id} ended`])
    assert.ok(told.length <= 3, told.join())
  })

  it('shows many orders by one stream, each as its page says, and what is not for the customer as absent', async () => {
    const [minutes, hours, days] = await Promise.all([59 * 60_000, 5 * 3_600_000, 30 * 3_600_000].map((ms) => shop.parcel(ms)))
    const placed = await shop.parcel(null, { status: 1 })
    await show(
      ...[minutes, hours, days].map((id) => element(id as number)),
      element(placed, '', 'parcel_pay'),
      element(404),
      `<p lang="zh-TW">${element(days as number)}</p>`,
    )
    await waitUntil(async () => /^5[89]:\d\d$/.test(await textOf(minutes as number)))
    await waitUntil(async () => /^4:59:\d\d$/.test(await textOf(hours as number)))
    await waitUntil(async () => (await page.locator(`order-countdown[order="${days}"]`).allInnerTexts()).join() === '1 d 5 h,1 天 5 時')
    await waitUntil(async () => /^59:\d\d$/.test(await textOf(placed)))
    assert.equal(await page.locator('order-countdown[order="404"]').getAttribute('state'), 'absent')
    assert.equal(streams, 1)
  })

  it('follows a pause, and an extension', async () => {
    const id = await shop.parcel(600_000)
    await show(element(id))
    await waitUntil(async () => (await textOf(id)).startsWith('9:'))
    await shop.timers.pause('parcel_confirm', id)
    await waitUntil(async () => /^paused, 9:\d\d left$/.test(await textOf(id)))
    await shop.timers.resume('parcel_confirm', id)
    await waitUntil(async () => /^9:\d\d$/.test(await textOf(id)))
    await shop.timers.extend('parcel_confirm', id, '10m')
    await waitUntil(async () => /^19:\d\d$/.test(await textOf(id)))
  })

  it('shows another order when its attribute changes', async () => {
    const [one, other] = [await shop.parcel(600_000), await shop.parcel(1_200_000)]
    await show(element(one))
    await waitUntil(async () => (await textOf(one)).startsWith('9:'))
    const meanwhile = await page.locator('order-countdown').evaluate((shown, id) => {
      shown.setAttribute('order', id)
      return shown.textContent
    }, String(other))
    assert.equal(meanwhile, '') // the time of the first is not the other's
    await waitUntil(async () => (await textOf(other)).startsWith('19:'))
    assert.deepEqual(await events(), [`${one} running`, `${other} running`])
  })

  it('asks if a proxy holds the stream back, and continues to ask', async () => {
    const id = await shop.parcel(600_000)
    isKept = true
    try {
      await page.clock.install()
      await show(element(id))
      await waitUntil(() => streams === 1)
      await page.clock.runFor(11_000)
      await waitUntil(async () => (await textOf(id)).startsWith('9:'))
      await shop.sql('UPDATE parcels SET status = 5 WHERE id = $1', [id])
      await page.clock.runFor(11_000)
      await page.locator('order-countdown[state=ended]').waitFor({ state: 'attached' })
      assert.equal(streams, 1)
    } finally {
      isKept = false
    }
  })

  it('asks as soon where the clock of the machine has been put back', async () => {
    const id = await shop.parcel(600_000)
    isKept = true
    try {
      await page.clock.install()
      await show(element(id))
      await waitUntil(() => streams === 1)
      await page.clock.setSystemTime(Date.now() - 3_600_000)
      await page.clock.runFor(22_000)
      await waitUntil(async () => (await textOf(id)).startsWith('9:'))
    } finally {
      isKept = false
    }
  })

  it('shows orders beside an element that says no order', async () => {
    const id = await shop.parcel(600_000)
    await show('<order-countdown kind="parcel_confirm">…</order-countdown>', '<order-countdown order="1">…</order-countdown>', element(id))
    await waitUntil(async () => (await textOf(id)).startsWith('9:'))
  })

  it('is right again when the machine wakes up', async () => {
    const id = await shop.parcel(600_000)
    await page.clock.install()
    await show(element(id))
    await waitUntil(async () => (await textOf(id)).startsWith('9:'))
    await page.clock.fastForward(3_600_000)
    await waitUntil(() => streams === 2)
    await waitUntil(async () => (await textOf(id)).startsWith('9:'))
  })

  it('has no stream while nobody sees it', async () => {
    const id = await shop.parcel(600_000)
    await page.clock.install()
    await show(element(id))
    await waitUntil(async () => (await textOf(id)).startsWith('9:'))
    const ended: string[] = []
    page.on('requestfailed', (request) => request.url().includes('/stream?') && ended.push(request.url()))
    const hide = (hidden: boolean) =>
      page.evaluate(
        `Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true }); document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))`,
      )
    await hide(true)
    await page.clock.runFor(41_000)
    await waitUntil(() => ended.length === 1)
    assert.equal(streams, 1)
    await hide(false)
    await page.clock.runFor(1_000)
    await waitUntil(() => streams === 2)
    await waitUntil(async () => (await textOf(id)).startsWith('9:'))
  })

  it('comes back after its stream was cut, and goes on counting meanwhile', async () => {
    const id = await shop.parcel(600_000)
    await show(element(id))
    await waitUntil(async () => (await textOf(id)).startsWith('9:'))
    server.server.closeAllConnections()
    const before = await textOf(id)
    await waitUntil(async () => (await textOf(id)) < before, { within: 3_000 })
    await shop.sql('UPDATE parcels SET status = 5 WHERE id = $1', [id])
    await waitUntil(async () => (await page.locator('order-countdown').getAttribute('state')) === 'ended')
    problems.splice(0) // the browser reports the cut itself
  })
})
