// The admin page in a real browser: every screen and act, for whom may act and whom may only look, behind a proxy on a path of its own, from
// another site, on a telephone, in the dark, in both languages. CHROMIUM is the browser that the set-up found. With UPDATE_PICTURES=1 the pictures
// in docs/pictures are taken anew.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import axe from 'axe-core'
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from 'playwright-core'
import { type AdminShop, MOUNT, openAdminShop } from '../admin-page/admin-shop.js'
import { enter } from '../support/opened.js'
import { runtimeOf } from '../support/runtime.js'
import type { TestWorker } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'
import { SWITCHES } from './switches.js'

const pictures = fileURLToPath(new URL('../../docs/pictures/', import.meta.url))
const docs = readFileSync(new URL('../../docs/admin-page.md', import.meta.url), 'utf8')
const HOSTILE = `<img src=x onerror="document.title='owned'">"'&\n\nevent: news\ndata: null`
const SCREENS = ['now', 'due', 'late', 'stuck', 'order', 'processes', 'actions']
const HOUR_MS = 3_600_000

describe('the admin page in a browser', function () {
  this.timeout(120_000)
  let browser: Browser
  let shop: AdminShop
  let worker: TestWorker
  let can: 'read' | 'act' | undefined = 'act'
  let user = 'support'
  const problems: string[] = []
  let page: Page
  let context: BrowserContext

  before(async function () {
    const executablePath = process.env.CHROMIUM
    if (executablePath === undefined) return this.skip()
    browser = await chromium.launch({ executablePath, args: SWITCHES })
    shop = await openAdminShop({
      admin: {
        authorize: () => can !== undefined && { user, can },
        show: (order) => ({ Item: order.get('note') as string, Total: `NT$${order.get('total')}` }),
      },
    })
    worker = await shop.worker()
    await seed()
  })

  after(async () => {
    await browser?.close()
    await shop?.close()
  })

  beforeEach(async () => {
    can = 'act'
    user = 'support'
    problems.length = 0
    ;[context, page] = await open({ viewport: { width: 1360, height: 860 } })
  })

  afterEach(async () => {
    await context.close()
    assert.deepEqual(problems, [])
  })

  /** Some that come due, one dead letter, two that are stale, and some that the worker settles. */
  async function seed() {
    const { Order } = shop.database
    const items = ['高山烏龍 150 g', '紅玉紅茶', '東方美人', '文山包種', '凍頂烏龍', '鐵觀音']
    const at = (i: number) => new Date(Date.now() + 240_000 + i * i * 7_500)
    await Order.bulkCreate(
      Array.from({ length: 90 }, (_, i) => ({ status: 4, note: items[i % 6] as string, total: 320 + (i % 7) * 80, confirmDueAt: at(i) })),
    )
    await Order.bulkCreate(Array.from({ length: 25 }, (_, i) => ({ status: 1, note: items[i % 6] as string, total: 450 })))
    await Order.bulkCreate(
      [1, 2].map((i) => ({ status: 4, note: items[i] as string, confirmDueAt: new Date(Date.now() - (8 + i) * 24 * HOUR_MS) })),
    )
    const failing = await shop.order({ status: 4, note: 'fails: the payment service answers 502' })
    const settled = await Promise.all(Array.from({ length: 12 }, () => shop.order({ status: 4 })))
    for (const id of [failing, ...settled]) await shop.timers.schedule('order_confirm', id, { after: 50 })
    await waitUntil(() => worker.deadTold.length > 0 && worker.settled.length >= 12)
  }

  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<[BrowserContext, Page]> {
    const opened = await browser.newContext({ reducedMotion: 'reduce', locale: 'en-GB', ...options })
    const newPage = await opened.newPage()
    newPage.on('pageerror', (error) => problems.push(String(error)))
    newPage.on(
      'console',
      (message) =>
        message.type() === 'error' &&
        !message.location().url.endsWith('/favicon.ico') &&
        problems.push(`${message.text()} ${message.location().url}`),
    )
    return [opened, newPage]
  }

  const visit = async (path = '', on = page, base = shop.url) => {
    await on.goto(base + path)
    await on.locator('h1').waitFor()
  }

  const row = (kind: string) => page.getByRole('row').filter({ has: page.getByRole('link', { name: kind, exact: true }) })

  const orders = async (count: number, dueInMs = HOUR_MS, values: object = {}) =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const id = await shop.order({ status: 4, note: 'of a test', ...values })
        await shop.timers.schedule('order_confirm', id, { at: Date.now() + dueInMs })
        return id
      }),
    )

  const rowOf = async (id: number) => {
    const found = await shop.database.client.query('SELECT status, "confirmDueAt" AS due FROM orders WHERE id = $1', [id])
    return found.rows[0] as { status: number; due: Date | null }
  }

  /** Presses a button, gives a reason, and reads what came of it. */
  async function doIt(button: string, fill: Record<string, string> = {}, within: Page | Locator = page): Promise<string> {
    await within.getByRole('button', { name: button, exact: true }).first().click()
    const dialog = page.getByRole('dialog')
    for (const [label, text] of Object.entries(fill)) await dialog.getByLabel(label).fill(text)
    await dialog.getByRole('button', { name: 'Do it' }).click()
    await dialog.getByRole('button', { name: 'Close' }).waitFor()
    const said = await dialog.innerText()
    await dialog.getByRole('button', { name: 'Close' }).click()
    await dialog.waitFor({ state: 'detached' })
    return said
  }

  async function accessible(on = page) {
    await on.evaluate(axe.source)
    const found: axe.AxeResults = await on.evaluate(
      `axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'] })`,
    )
    assert.deepEqual(
      found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`),
      [],
      on.url(),
    )
  }

  async function fits(on: Page) {
    const over: number = await on.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    assert.equal(over, 0, `${on.url()} is wider than the screen`)
  }

  async function picture(name: string, on = page) {
    if (process.env.UPDATE_PICTURES === undefined || !docs.includes(`pictures/admin-${name}.png`)) return
    await on.mouse.move(0, 0)
    const { width, height } = on.viewportSize() as { width: number; height: number }
    const end: number = await on.evaluate("Math.ceil(document.querySelector('main').getBoundingClientRect().bottom)")
    await on.screenshot({ path: `${pictures}admin-${name}.png`, clip: { x: 0, y: 0, width, height: Math.min(height, end) } })
  }

  describe('shows', () => {
    it('that all is well, and each rule in a row', async () => {
      await visit()
      await page
        .getByRole('heading', { level: 1 })
        .filter({ hasText: /DEAD LETTERS: order_confirm/ })
        .waitFor()
      const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'order_confirm' }) })
      assert.equal(await row.locator('[data-label=dead]').innerText(), '1')
      assert.equal(await row.locator('[data-label=stale]').innerText(), '2')
      assert.match(await row.locator('[data-label=pending]').innerText(), /^\d\d+$/)
      await page.getByText('live', { exact: true }).waitFor()
      await accessible()
      await picture('now')
    })

    it('every screen, with its name in the title, from the keyboard', async () => {
      await visit()
      for (const name of ['Due', 'Late', 'Stuck', 'Order', 'Processes', 'Actions', 'Now']) {
        await page.getByRole('navigation').getByRole('link', { name, exact: true }).focus()
        await page.keyboard.press('Enter')
        await waitUntil(async () => (await page.title()).includes(`${name} · order-timers`))
        if (name !== 'Now') await page.getByRole('heading', { level: 1, name }).waitFor()
        await accessible()
      }
    })

    it('what is due, page by page, and keeps the filters in the URL', async () => {
      await visit('?view=due&kind=order_confirm&hours=24')
      await page.getByRole('img', { name: /by time/ }).waitFor()
      const first = await page.getByRole('rowheader').allInnerTexts()
      assert.equal(first.length, 50)
      await picture('due')
      await page.getByRole('link', { name: 'Next page' }).click()
      await page.getByRole('link', { name: 'First page' }).waitFor()
      const second = await page.getByRole('rowheader').allInnerTexts()
      assert.ok(second.length > 0 && second.length <= 50)
      await page.goBack()
      await page.getByRole('link', { name: 'Next page' }).waitFor()
      await page.getByRole('link', { name: '1 h', exact: true }).click()
      await page.waitForURL(/hours=1&kind=order_confirm|kind=order_confirm&hours=1/)
      await page.getByLabel('Rule').selectOption('order_pay')
      await page.waitForURL(/kind=order_pay/)
      await page.getByRole('cell', { name: 'order_pay' }).first().waitFor()
      await accessible()
    })

    it('how late orders were, by path', async () => {
      await waitUntil(async () =>
        (await shop.ask('data/late')).json.data.kinds.some(({ all }: { all: { count: number } }) => all.count > 0),
      )
      await visit('?view=late')
      await page.getByRole('rowheader', { name: 'alarm' }).waitFor()
      await page.getByRole('link', { name: '24 h' }).click()
      await page.waitForURL(/minutes=1440/)
      await accessible()
      await picture('late')
    })

    it('what the rule threw, and who has locked a row', async () => {
      await visit('?view=stuck&kind=order_confirm&state=dead')
      await page.getByRole('code').filter({ hasText: 'fails: the payment service answers 502' }).waitFor()
      await picture('stuck')
      const id = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - 3_000) }) // not armed, and locked before a sweep
      const client = await shop.database.connect()
      await client.query(`SET application_name = 'nightly report'; BEGIN`)
      await client.query('SELECT 1 FROM orders WHERE id = $1 FOR UPDATE', [id])
      await visit('?view=stuck&kind=order_confirm&state=locked')
      await page.getByText('nightly report').waitFor()
      await client.query('ROLLBACK')
    })

    it('one order, by its id and by the name of its key', async () => {
      const [id] = await orders(1, 7_500_000, { note: '高山烏龍 150 g', total: 320 })
      await visit('?view=order')
      await page.getByRole('textbox', { name: 'Order' }).fill(` ${id} `)
      await page.keyboard.press('Enter')
      await page.getByText(/It is settled in 2 h/).waitFor()
      await page.getByText('高山烏龍').first().waitFor()
      await accessible()
      await picture('order')
      await page.getByRole('textbox', { name: 'Order' }).fill(shop.key(`order_pay:${id}`))
      await page.getByRole('button', { name: 'Look' }).click()
      await page.getByText('The rule does not apply to it').waitFor()
      await waitUntil(async () => (await page.locator('.card').count()) === 1)
      await page.getByRole('textbox', { name: 'Order' }).fill('no such id!')
      await page.keyboard.press('Enter')
      await page.getByText('No rule knows orders with an id like no such id!').waitFor()
    })

    it('the processes', async () => {
      await visit('?view=processes')
      await page.getByRole('row').filter({ hasText: 'worker' }).filter({ hasText: 'as here' }).first().waitFor()
      await picture('processes')
    })
  })

  describe('acts', () => {
    it('on one order: extends, cancels', async () => {
      const [id] = await orders(1)
      await visit(`?view=order&id=${id}`)
      const { due } = await rowOf(id as number)
      const said = await doIt('Extend', { 'By how much': '2h', Reason: 'the customer called' })
      assert.match(said, /1 done/)
      assert.equal((await rowOf(id as number)).due?.getTime(), (due?.getTime() ?? 0) + 2 * HOUR_MS)
      await page.getByText('the customer called').waitFor()
      assert.match(await doIt('Cancel timer'), /1 done/)
      assert.equal((await rowOf(id as number)).due, null)
      await page.getByRole('region', { name: 'order_confirm' }).getByText('It has no timer').waitFor()
    })

    it('pauses a timer, and resumes it with the time that was left', async () => {
      const other = await openAdminShop({ pausable: true })
      try {
        const id = await other.order({ status: 4 })
        await other.timers.schedule('order_confirm', id, { after: '1h' })
        await visit(`?view=order&id=${id}`, page, other.url)
        assert.match(await doIt('Pause'), /1 done/)
        await page
          .getByText(/paused/i)
          .first()
          .waitFor()
        assert.equal(await page.getByRole('button', { name: 'Settle now' }).count(), 0)
        const { rows } = await other.database.client.query('SELECT "confirmDueAt" AS due, "leftMs" AS left FROM orders')
        assert.equal(rows[0].due, null)
        assert.ok(Number(rows[0].left) > HOUR_MS - 120_000)
        assert.match(await doIt('Resume'), /1 done/)
        await page.getByText(/It is settled in/).waitFor()
        assert.ok(((await other.timers.remaining('order_confirm', id)) ?? 0) > HOUR_MS - 240_000)
        await page.goto('about:blank')
      } finally {
        await other.close()
      }
    })

    it('settles now: a worker does', async () => {
      const [id] = await orders(1)
      await visit(`?view=order&id=${id}`)
      assert.match(await doIt('Settle now'), /1 done/)
      await waitUntil(async () => (await rowOf(id as number)).status === 5)
    })

    it('retries and discards dead letters', async () => {
      const [one, two] = await orders(2, HOUR_MS, { note: 'fails twice' })
      const dead = worker.deadTold.length
      for (const id of [one, two]) await shop.timers.schedule('order_confirm', id as number, { after: 20 })
      await waitUntil(() => worker.deadTold.length >= dead + 2)
      await shop.database.client.query(`UPDATE orders SET note = 'mended' WHERE id = $1`, [one])
      await visit(`?view=order&id=${one}`)
      assert.match(await doIt('Retry'), /1 done/)
      await waitUntil(async () => (await rowOf(one as number)).status === 5)
      await visit(`?view=order&id=${two}`)
      assert.match(await doIt('Discard'), /1 done/)
      await page.getByRole('button', { name: 'Discard' }).waitFor({ state: 'detached' })
      assert.equal((await rowOf(two as number)).status, 4)
    })

    it('holds a rule, says since when, by whom and why, and lets it go on with its deadlines moved', async () => {
      user = '<b>support</b>'
      const [due, later] = [...(await orders(1, 4_000)), ...(await orders(1))] as [number, number]
      const before = (await rowOf(later)).due?.getTime() ?? 0
      await visit()
      const said = await doIt('Hold', { Why: '<i>the payment service</i> is down' }, row('order_confirm'))
      assert.match(said, /It is held\./)
      const words = /held since [\d:]+ by <b>support<\/b>: <i>the payment service<\/i> is down/
      await page.getByRole('row').getByText(words).waitFor()
      assert.equal(await page.locator('main i, main b').count(), 0)
      assert.equal(await row('order_confirm').getByRole('button', { name: 'Hold' }).count(), 0)
      await accessible()
      await visit(`?view=order&id=${due}`)
      await page.getByText('It is due, and the whole rule is held.').waitFor()
      await page.getByText(words).waitFor()
      await visit('?view=stuck&kind=order_confirm&state=held')
      await page.getByRole('link', { name: String(due), exact: true }).waitFor()
      assert.equal((await rowOf(due)).status, 4)
      can = 'read'
      await visit()
      await page.getByRole('row').getByText(words).waitFor()
      assert.equal(await page.getByRole('button', { name: /Hold|Release/ }).count(), 0)
      can = 'act'
      await visit('?lang=zh-TW')
      await page.getByText(/由 <b>support<\/b> 暫停整條規則：<i>/).waitFor()
      await visit()
      await row('order_confirm').getByRole('button', { name: 'Release' }).click()
      const dialog = page.getByRole('dialog')
      await dialog.getByLabel('Deadlines').selectOption('grace')
      await dialog.getByLabel(/For how long/).waitFor()
      await dialog.getByLabel('Deadlines').selectOption('shift')
      await accessible()
      await dialog.getByRole('button', { name: 'Do it' }).click()
      await dialog.getByText(/It stays held while its deadlines are moved/).waitFor()
      await dialog.getByRole('button', { name: 'Close' }).click()
      await waitUntil(async () => (await rowOf(due)).status === 5)
      assert.ok(((await rowOf(later)).due?.getTime() ?? 0) > before)
      await visit('?view=actions')
      await page.getByRole('row').filter({ hasText: 'Hold' }).filter({ hasText: '<i>the payment service' }).first().waitFor()
    })

    it('releases no other hold than the one that was shown', async () => {
      await shop.timers.hold('order_pay', { reason: 'the first' })
      const shown = async () => {
        const { kinds } = (await shop.ask('data/now')).json.data
        return kinds.find(({ kind }: { kind: string }) => kind === 'order_pay').holds[0]
      }
      const first = await waitUntil(shown) // by the next look
      await shop.timers.release('order_pay')
      await shop.timers.hold('order_pay', { reason: 'the second' })
      const { status, json } = await shop.act({ action: 'release', kind: 'order_pay', heldSince: first.sinceMs })
      assert.deepEqual([status, json.error.code], [409, 'ERR_ORDER_TIMERS_NOT_HELD'])
      assert.match(json.error.message, /another hold stands, since .+ \(the second\); nothing was released/)
      assert.equal(await shop.timers.release('order_pay'), true)
      await shop.timers.hold('order_pay', { reason: 'the payment service is down', by: 'support' })
      await visit()
      await page.getByText(/held since [\d:]+ by support: the payment service is down/).waitFor()
      await picture('held')
      assert.equal(await shop.timers.release('order_pay'), true)
    })

    it('says that a change of many orders was left unfinished, and holds the rule', async () => {
      const { client } = shop.database
      const prefix = runtimeOf(shop.timers).keys.prefix
      await client.query(
        `INSERT INTO order_timers_runs (prefix, kind, action, conditions, overwrite, planned, moved, actor, process, moved_at)
         VALUES ($1, 'order_confirm', 'extendAll', '{}', FALSE, 900, 120, 'night shift', 'web-3:7:abcdef', now() - interval '10 minutes')`,
        [prefix],
      )
      await client.query(
        `INSERT INTO order_timers_holds (prefix, kind, owner, orders, reason, placed_by, since)
         VALUES ($1, 'order_confirm', 'run', 'orders', 'extendAll <b>900</b> orders', 'night shift', now())`,
        [prefix],
      )
      try {
        await visit()
        await page
          .getByRole('heading', { level: 1 })
          .or(page.locator('main li'))
          .getByText(/RUN UNFINISHED: order_confirm: run \d+/)
          .first()
          .waitFor()
        await page.getByText(/held since [\d:]+ by a change of many orders \(night shift: extendAll <b>900<\/b> orders\)/).waitFor()
        assert.equal(await row('order_confirm').getByRole('button', { name: 'Release' }).count(), 0)
        await visit('?lang=zh-TW')
        await page.getByText('批次變更的行程已經不在').first().waitFor()
      } finally {
        await client.query(`DELETE FROM order_timers_runs; UPDATE order_timers_holds SET state = 'released' WHERE owner = 'run'`)
      }
    })

    it('says which orders wait for `verify`, and what was answered, and settles them without an answer', async () => {
      const other = await openAdminShop({ verify: async (asked) => asked.map(() => false), logger: false })
      try {
        await other.worker()
        const id = await other.order({ status: 4 })
        await other.timers.schedule('order_confirm', id, { after: 50 })
        await waitUntil(async () => (await other.database.client.query('SELECT FROM order_timers_unverified')).rows.length === 1)
        await visit('', page, other.url)
        await page.getByText(/1 order waits for an answer of `verify`, the first since .+; next asked at/).waitFor()
        await visit(`?view=order&id=${id}`, page, other.url)
        await page.getByText('It is due, and `verify` has not answered true.').waitFor()
        await page.getByText(/asked once · last answer: false · next at/).waitFor()
        await accessible()
        await visit('?view=stuck&kind=order_confirm&state=unverified', page, other.url)
        await page.getByRole('checkbox', { name: `Choose order ${id}`, exact: true }).check()
        await page.getByRole('button', { name: 'Settle unverified' }).click()
        await page.getByRole('dialog').getByRole('button', { name: 'Do it' }).click()
        assert.equal(await page.evaluate("document.getElementById('reason').validity.valueMissing"), true)
        await accessible()
        await page.getByRole('dialog').getByLabel('Reason').fill('closed by phone')
        await page.getByRole('dialog').getByRole('button', { name: 'Do it' }).click()
        await page.getByRole('dialog').getByText('1 done').waitFor()
        await waitUntil(async () => (await other.statusOf(id)) === 5)
        await visit('?view=actions', page, other.url)
        await page.getByRole('row').filter({ hasText: 'Settle unverified' }).filter({ hasText: 'closed by phone' }).first().waitFor()
        await page.goto('about:blank')
      } finally {
        await other.close()
      }
    })

    it('releases a rule that its brake has stopped', async () => {
      await shop.database.client.query(
        `INSERT INTO order_timers_brakes (kind, braked_at) VALUES ('order_confirm', now()) ON CONFLICT (kind) DO UPDATE SET braked_at = now()`,
      )
      await visit()
      await page.getByRole('heading', { level: 1 }).filter({ hasText: 'BRAKED: order_confirm: stopped by its brake' }).waitFor()
      await picture('braked')
      assert.match(await doIt('Release'), /Released/)
      await waitUntil(
        async () => (await shop.database.client.query('SELECT braked_at FROM order_timers_brakes')).rows[0].braked_at === null,
      )
    })

    it('on several orders, and skips one that has changed since it was shown', async () => {
      const ids = await orders(3, 60_000)
      await visit('?view=due&kind=order_confirm&hours=1')
      for (const id of ids) await page.getByRole('checkbox', { name: `Choose order ${id}`, exact: true }).check()
      await page.getByText('3 orders chosen').waitFor()
      await picture('chosen')
      await shop.timers.extend('order_confirm', ids[2] as number, '10m')
      const said = await doIt('Cancel timer')
      assert.match(said, /2 done · 1 skipped/)
      for (const id of ids.slice(0, 2)) assert.equal((await rowOf(id)).due, null)
      assert.ok((await rowOf(ids[2] as number)).due)
      await visit('?view=actions')
      await page.getByRole('row').filter({ hasText: 'Cancel timer' }).first().getByText('3', { exact: true }).click()
      await page.getByText('skipped').first().waitFor()
      await accessible()
      await picture('actions')
    })

    it('not with the right to read only: there are no buttons, and what is sent anyway is refused', async () => {
      can = 'read'
      const [id] = await orders(1)
      for (const path of [`?view=order&id=${id}`, '?view=due', '?view=stuck&state=dead&kind=order_confirm', '']) {
        await visit(path)
        await page.getByText('may read').waitFor()
        assert.equal(await page.getByRole('checkbox').count(), 0, path)
        assert.equal(await page.getByRole('button', { name: /Extend|Cancel|Settle|Retry|Discard|Release/ }).count(), 0, path)
      }
      const status = await page.evaluate(`fetch('act', { method: 'POST', headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ action: 'cancel', kind: 'order_confirm', orders: [{ id: ${id}, deadline: null }] }) }).then(({ status }) => status)`)
      assert.equal(status, 403)
      assert.ok((await rowOf(id as number)).due)
      assert.match(problems.splice(0).join(), /403/)
    })

    it('not from another site, whose pages have the cookies too', async () => {
      const [id] = await orders(1)
      const body = JSON.stringify({ action: 'cancel', kind: 'order_confirm', orders: [{ id, deadline: null }] })
      const other = createServer((_req, res) => {
        res
          .setHeader('content-type', 'text/html')
          .end(`<form method=post action="${shop.url}act" enctype="text/plain"><input name='${body.slice(0, -1)},"x":"' value='"}'></form>`)
      }).listen(0, '127.0.0.1')
      await once(other, 'listening')
      const strikeOut = enter('another site', async () => other.close())
      await page.goto(`http://localhost:${(other.address() as AddressInfo).port}/`)
      for (const type of ['text/plain', 'application/json']) {
        await page.evaluate(
          `fetch('${shop.url}act', { method: 'POST', mode: 'no-cors', credentials: 'include', headers: { 'content-type': '${type}' }, body: '${body}' }).catch(() => {})`,
        )
      }
      const answered = page.waitForResponse((response) => response.url().endsWith('/act') && response.request().isNavigationRequest())
      await page.evaluate('document.forms[0].submit()')
      assert.equal((await answered).status(), 403)
      assert.ok((await rowOf(id as number)).due)
      await context.close()
      problems.length = 0
      other.closeAllConnections()
      other.close()
      strikeOut()
    })
  })

  describe('and', () => {
    it('works behind a proxy that knows it under another path', async () => {
      const target = new URL(shop.url)
      const proxy = createServer((req, res) => {
        const path = (req.url ?? '').replace(/^\/ops\/timers/, MOUNT)
        const passed = httpRequest(
          { host: target.hostname, port: target.port, path, method: req.method, headers: req.headers },
          (answer) => {
            res.writeHead(answer.statusCode ?? 502, answer.headers)
            answer.pipe(res)
          },
        )
        passed.on('error', () => res.destroy())
        res.on('close', () => passed.destroy())
        req.pipe(passed)
      }).listen(0, '127.0.0.1')
      await once(proxy, 'listening')
      const strikeOut = enter('a proxy', async () => proxy.close())
      const base = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/ops/timers`
      await page.goto(`${base}/`)
      await page.getByText('live', { exact: true }).waitFor()
      const [id] = await orders(1)
      await visit(`/?view=order&id=${id}`, page, base)
      assert.match(await doIt('Extend', { 'By how much': '1h' }), /1 done/)
      await page.getByRole('link', { name: 'Due', exact: true }).click()
      await page.waitForURL(`${base}/?view=due`)
      await page.goto('about:blank')
      proxy.closeAllConnections()
      proxy.close()
      strikeOut()
    })

    it('shows what others wrote as text, everywhere', async () => {
      user = HOSTILE
      const hostile = await shop.order({ status: 4, note: `fails ${HOSTILE}` })
      const dead = worker.deadTold.length
      await shop.timers.schedule('order_confirm', hostile, { after: 20 })
      await waitUntil(() => worker.deadTold.length > dead)
      const record = JSON.stringify({
        id: HOSTILE,
        host: HOSTILE,
        pid: 1,
        version: HOSTILE,
        startedAt: 1,
        role: 'web',
        redis: HOSTILE,
        rules: { [HOSTILE]: 'x' },
        databases: [],
      })
      await shop.redis.client.hset(shop.key('order-timers:processes'), 'hostile', `${Date.now()} ${Date.now() + 60_000} ${record}`)
      const locked = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - 3_000) })
      const client = await shop.database.connect()
      await client.query(`SET application_name = '${HOSTILE.slice(0, 45).replaceAll("'", "''")}'; BEGIN`)
      await client.query('SELECT 1 FROM orders WHERE id = $1 FOR UPDATE', [locked])
      for (const path of [
        '',
        '?view=due',
        '?view=stuck&kind=order_confirm&state=dead',
        '?view=stuck&kind=order_confirm&state=locked',
        `?view=order&id=${hostile}`,
        `?view=order&id=${encodeURIComponent(HOSTILE)}`,
        '?view=processes',
        '?view=actions',
        `?view=${encodeURIComponent(HOSTILE)}`,
        `?lang=${encodeURIComponent(HOSTILE)}`,
      ]) {
        await visit(path)
        await page.locator('.who').filter({ hasText: 'onerror' }).waitFor()
        assert.equal(await page.locator('img:not([src="icon.svg"])').count(), 0, path)
        assert.notEqual(await page.title(), 'owned')
      }
      await visit('?view=processes')
      await page.getByRole('rowheader').filter({ hasText: '<img src=x' }).waitFor()
      await visit('')
      await page
        .locator('main')
        .getByText(/the clock of <img/)
        .waitFor() // by the stream, with its line breaks
      await page.getByText('live', { exact: true }).waitFor()
      await client.query('ROLLBACK')
      await shop.redis.client.hdel(shop.key('order-timers:processes'), 'hostile')
      assert.match((await doItAs(hostile)) ?? '', /1 done/)
      await visit('?view=actions')
      await page.getByRole('cell').filter({ hasText: '<img src=x' }).first().waitFor()
    })

    async function doItAs(id: number) {
      user = '<b>mallory</b> <img src=x>'
      await visit(`?view=order&id=${id}`)
      return doIt('Discard', { Reason: HOSTILE.replaceAll('\n', ' ') })
    }

    it('fits a telephone, also in the dark and in Chinese, and stays accessible', async () => {
      const [id] = await orders(1)
      const [phone, small] = await open({
        viewport: { width: 390, height: 844 },
        deviceScaleFactor: 2,
        colorScheme: 'dark',
        locale: 'zh-TW',
      })
      try {
        for (const view of SCREENS) {
          await visit(`?view=${view}&kind=order_confirm&state=stale${view === 'order' ? `&id=${id}` : ''}`, small)
          await small.locator('.card, table, .verdict').first().waitFor()
          assert.equal(await small.locator('html').getAttribute('lang'), 'zh-TW')
          await fits(small)
          await accessible(small)
          await picture(`phone-${view}`, small)
        }
        await small.getByRole('link', { name: 'English' }).click()
        await small.waitForURL(/lang=en/)
        await small.getByRole('heading', { name: 'Actions' }).waitFor()
      } finally {
        await phone.close()
      }
      const [wide, other] = await open({ viewport: { width: 1360, height: 860 }, colorScheme: 'dark', locale: 'zh-TW' })
      for (const view of ['now', 'order']) {
        await visit(`?view=${view}${view === 'order' ? `&id=${id}` : ''}`, other)
        await other.locator('.card, table, .verdict').first().waitFor()
        await fits(other)
        await picture(`dark-${view}`, other)
      }
      await wide.close()
    })

    it('ends when the right to read is gone', async () => {
      can = undefined
      await page.goto(shop.url)
      assert.match(await page.locator('body').innerText(), /not for you/)
      assert.match(problems.splice(0).join(), /403/)
    })

    it('rests while nobody sees it', async () => {
      const streams: string[] = []
      page.on('request', (request) => request.url().endsWith('/stream') && streams.push('opened'))
      page.on('requestfailed', (request) => request.url().endsWith('/stream') && streams.push('ended'))
      await visit()
      await page.getByText('live', { exact: true }).waitFor()
      const hide = (hidden: boolean) =>
        page.evaluate(
          `Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true }); document.dispatchEvent(new Event('visibilitychange'))`,
        )
      await hide(true)
      await waitUntil(() => streams.join() === 'opened,ended')
      await hide(false)
      await waitUntil(() => streams.join() === 'opened,ended,opened')
      await page.getByText('live', { exact: true }).waitFor()
    })

    it('says that no worker is alive', async () => {
      const other = await openAdminShop()
      try {
        const id = await other.order({ status: 4, confirmDueAt: new Date(Date.now() - 200_000) })
        await visit('', page, other.url)
        await page.getByRole('heading', { level: 1, name: /^NO WORKER ALIVE: / }).waitFor()
        await page.getByText(/OVERDUE: order_confirm: 1 order is overdue without a known reason, the oldest for 3/).waitFor()
        await waitUntil(async () => (await page.title()).startsWith('✘'))
        await picture('no-worker')
        await page.getByRole('link', { name: '1', exact: true }).first().click()
        await page.getByRole('link', { name: String(id), exact: true }).waitFor()
        await page.goto('about:blank')
      } finally {
        await other.close()
      }
    })
  })
})
