// The smallest shop over HTTP, on the package as it was built; and the demo's unattended run, as a user starts it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Express } from 'express'
import request from 'supertest'
import { environmentOf, readConfig } from '../example/config.js'
import { openTestShop, type TestShop } from './example-shop.js'
import { root } from './support/book.js'
import { openProjectOf } from './support/book-project.js'
import { dieWithTests } from './support/opened.js'
import { waitUntil } from './support/waiting.js'

const [CANCELLED, PLACED, PAID, SHIPPED, COMPLETED] = [0, 1, 2, 4, 5]
const payAfterMs = 3000
const confirmAfterMs = 2000

describe('the smallest shop', () => {
  let shop: TestShop

  before(async () => {
    shop = await openTestShop({ payAfter: payAfterMs, confirmAfter: confirmAfterMs })
  })

  after(() => shop.close())

  afterEach(() => assert.deepEqual(shop.errors.splice(0), []))

  const post = (path: string, body: object = {}) => request(shop.app).post(path).send(body)
  const statusOf = async (id: number) => (await request(shop.app).get(`/orders/${id}`).expect(200)).body.status

  async function placed(): Promise<number> {
    return (await post('/orders', { item: '凍頂烏龍' }).expect(201)).body.id
  }

  async function shipped(): Promise<{ id: number; confirmsAt: string }> {
    const id = await placed()
    await post(`/orders/${id}/pay`).expect(200)
    const { confirmsAt } = (await post(`/orders/${id}/ship`).expect(200)).body
    return { id, confirmsAt }
  }

  it('places an order, says where it is and counts down to its cancellation', async () => {
    const { body, headers } = await post('/orders', { item: ' tea ' }).expect(201)
    assert.equal(headers.location, `/orders/${body.id}`)
    assert.equal(body.item, 'tea')
    assert.equal(body.status, PLACED)
    assert.ok(body.remaining > 0 && body.remaining <= payAfterMs, `remaining ${body.remaining}`)
    const { orders } = (await request(shop.app).get('/orders').expect(200)).body
    assert.equal(orders[0].id, body.id)
    const { timers } = (await request(shop.app).get(`/orders/${body.id}`).expect(200)).body
    assert.deepEqual(
      timers.map(({ kind, deadline }: { kind: string; deadline: string }) => [kind, Date.parse(deadline) - Date.parse(body.createdAt)]),
      [['order_pay', payAfterMs]],
    )
  })

  it('lists fifty orders with three statements at most', async () => {
    const statements: string[] = []
    const other = await openTestShop({ payAfter: '1h', confirmAfter: '1h', worker: false, onStatement: (sql) => statements.push(sql) })
    try {
      await other.Order.bulkCreate(
        Array.from({ length: 50 }, (_, index) => ({ item: 'tea', status: index % 2 === 0 ? PLACED! : SHIPPED! })),
      )
      await other.Order.update({ confirmDueAt: new Date(Date.now() + 3_600_000) }, { where: { status: SHIPPED! } })
      statements.length = 0
      const { orders } = (await request(other.app).get('/orders').expect(200)).body
      assert.equal(orders.length, 50)
      for (const { remaining } of orders) assert.ok(remaining > 3_500_000 && remaining <= 3_600_000, String(remaining))
      assert.ok(statements.length <= 3, statements.join('\n'))
    } finally {
      await other.close()
    }
  })

  it('cancels an order that is not paid in time, and then takes no money for it', async () => {
    const id = await placed()
    await waitUntil(async () => (await statusOf(id)) === CANCELLED, { what: `order ${id} to be cancelled` })
    await post(`/orders/${id}/pay`).expect(409, { error: `order ${id} has status 0, and this needs 1` })
  })

  it('confirms a shipped order by itself', async () => {
    const { id, confirmsAt } = await shipped()
    assert.equal(await statusOf(id), SHIPPED)
    await waitUntil(async () => (await statusOf(id)) === COMPLETED, { what: `order ${id} to be confirmed` })
    const order = await shop.Order.findByPk(id, { rejectOnEmpty: true })
    assert.equal(order.confirmDueAt, null)
    assert.ok(order.updatedAt.getTime() >= Date.parse(confirmsAt), `confirmed at ${order.updatedAt.toISOString()}, due ${confirmsAt}`)
  })

  it('confirms by hand, once', async () => {
    const { id } = await shipped()
    assert.equal((await post(`/orders/${id}/confirm`).expect(200)).body.status, COMPLETED)
    await post(`/orders/${id}/confirm`).expect(409)
  })

  it('extends the time to confirm', async () => {
    const { id, confirmsAt } = await shipped()
    const { body } = await post(`/orders/${id}/extend`, { by: '1h' }).expect(200)
    assert.equal(Date.parse(body.confirmsAt) - Date.parse(confirmsAt), 3_600_000)
    assert.equal(body.confirmDueAt, body.confirmsAt)
    assert.equal(body.status, SHIPPED)
  })

  it('ships paid orders alone', async () => {
    const id = await placed()
    await post(`/orders/${id}/ship`).expect(409, { error: `order ${id} is not waiting to be shipped` })
    assert.equal(await statusOf(id), PLACED)
    await post(`/orders/${id}/pay`).expect(200)
    assert.equal(await statusOf(id), PAID)
  })

  it("answers a client's mistake with a status and a sentence", () => answersMistakes(shop.app))

  for (const express of ['express4', 'express-oldest']) {
    it(`answers it likewise on ${express}`, async () => {
      const project = await openProjectOf({}, { express })
      await cp(join(root, 'example'), join(project.directory, 'example'), { recursive: true })
      const { openShop } = await import(join(project.directory, 'example/once/shop.ts'))
      const older = await openTestShop({ payAfter: '1h', confirmAfter: '1h', worker: false, open: openShop })
      try {
        await answersMistakes(older.app)
        assert.deepEqual(older.errors, [])
      } finally {
        await older.close()
        await project.close()
      }
    })
  }
})

async function answersMistakes(app: Express): Promise<void> {
  const post = (path: string, body: object = {}) => request(app).post(path).send(body)
  const { id } = (await post('/orders', { item: '凍頂烏龍' }).expect(201)).body
  await request(app).get('/nowhere').expect(404, { error: 'there is nothing at GET /nowhere' })
  await request(app).get('/orders/2147483648').expect(404, { error: 'there is no order 2147483648' })
  await post('/orders/tea/pay').expect(404, { error: 'there is no order tea' })
  await post('/orders', { item: '' }).expect(400, { error: 'say which item, in 100 characters at most: {"item":"tea"}' })
  await request(app).post('/orders').set('content-type', 'application/json').send('{').expect(400)
  const fortnight = await post(`/orders/${id}/extend`, { by: '1 fortnight' }).expect(400)
  assert.equal(fortnight.body.code, 'ERR_ORDER_TIMERS_INVALID_DURATION')
  const tooEarly = await post(`/orders/${id}/extend`, { by: '1h' }).expect(409)
  assert.equal(tooEarly.body.code, 'ERR_ORDER_TIMERS_ORDER_NOT_IN_FROM')
}

describe('npm run demo', () => {
  it('refuses what it does not know, and opens nothing', async () => {
    for (const [args, said] of [
      [['--worker', 'seperate'], /--worker must be separate, got "seperate"/],
      [['--ones'], /Unknown option '--ones'.*; it takes --once, or --worker separate/],
    ] as const) {
      const { output, errors, status } = await runDemo(...args)
      assert.deepEqual([output, status], ['', 2])
      assert.match(errors, said)
    }
  })

  it('gives its keys a prefix, by which its breaks tell them from others', () => {
    for (const env of [{}, { SHOP_PREFIX: '' }]) assert.equal(readConfig(env).prefix, 'order_timers_example:')
  })

  it('says what a command needs to find its shop, and no password', () => {
    const env = { DATABASE_URL: 'postgres://shop:secret@db:5432/shop', REDIS_URL: 'redis://127.0.0.1:6379', SHOP_SCHEMA: 'tea' }
    const shown = "DATABASE_URL='postgres://shop:…@db:5432/shop' REDIS_URL='redis://127.0.0.1:6379' SHOP_SCHEMA='tea'"
    assert.equal(environmentOf(env), shown)
  })
})

describe('npm run demo -- --once', () => {
  it('settles all seven orders as promised, says how late each was, and exits 0', async function () {
    this.timeout(90_000)
    const { output, errors, status } = await runDemo('--once')
    assert.equal(status, 0, output + errors)
    assert.equal(errors, '')
    const lines = [
      /^ +\d +not paid: cancelled at its deadline +(alarm|event|sweep) +\d+\.\d ms$/m,
      /^ +\d +shipped: confirmed at its deadline +(alarm|event|sweep) +\d+\.\d ms$/m,
      /^ +\d +confirmed by hand: its timer did nothing +by hand +-\d+\.\d ms$/m,
      /^ +\d +extended: confirmed at its new deadline, not before +(alarm|event|sweep) +\d+\.\d ms$/m,
      /^ +\d +plain SETEX by another client: cancelled +event +\d+\.\d ms$/m,
      /^ +\d +due while the worker was down: cancelled \d+ ms after it started +(alarm|event|sweep) +\d+\.\d ms$/m,
      /^ +7 +Redis's data flushed: (cancelled by the sweep +sweep|armed again from Postgres, cancelled +(alarm|event)) +\d+\.\d ms$/m,
    ]
    for (const line of lines) assert.match(output, line)
  })
})

async function runDemo(...args: string[]): Promise<{ output: string; errors: string; status: number | null }> {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', 'example/demo.ts', ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  dieWithTests(child)
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { output, errors, status: child.exitCode }
}
