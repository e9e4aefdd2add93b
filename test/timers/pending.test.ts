import assert from 'node:assert/strict'
import { transition } from '../../lib/index.js'
import { refusal, refused } from '../support/refused.js'
import { openShop, type Shop } from '../support/shop.js'
import { DAY_MS, type OneOfEach, oneOfEach, PAY_MS } from '../support/shop-rules.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'

describe('list', () => {
  let shop: Shop<OneOfEach>

  beforeEach(async () => {
    shop = await openShop(oneOfEach)
  })

  afterEach(() => shop.close())

  it("gives an order's pending timers under all rules, soonest first, with what remains", async () => {
    const { timers } = shop
    const id = await shop.order({ status: 4 })
    await timers.schedule('order_other', id, { after: '3d' })
    const confirm = await timers.schedule('order_confirm', id)
    const listed = await timers.list(id)
    assert.deepEqual(
      listed.map(({ kind, id }) => [kind, id]),
      [
        ['order_confirm', String(id)],
        ['order_other', String(id)],
      ],
    )
    assert.deepEqual(listed[0]?.deadline, confirm.deadline)
    const [soon, late] = listed.map(({ remaining }) => remaining) as [number, number]
    assert.ok(soon > DAY_MS - 2000 && soon <= DAY_MS, String(soon))
    assert.ok(late > 3 * DAY_MS - 2000 && late <= 3 * DAY_MS, String(late))
  })

  it('knows a deadline that follows from the row, though nobody has scheduled it', async () => {
    const order = await shop.database.Order.create({})
    const [timer, ...more] = await shop.timers.list(order)
    assert.deepEqual(more, [])
    assert.deepEqual([timer?.kind, timer?.deadline.getTime()], ['order_pay', order.createdAt.getTime() + PAY_MS])
  })

  it('knows a key that somebody else has set', async () => {
    const id = await shop.order({ status: 2 })
    await shop.redis.client.setex(shop.key(`order_ship:${id}`), 100, 1)
    const [timer] = await shop.timers.list(id)
    assert.equal(timer?.kind, 'order_ship')
    assert.ok((timer?.remaining as number) > 98_000 && (timer?.remaining as number) <= 100_001)
  })

  it('is empty for an order that was settled or cancelled, and for one that does not exist', async () => {
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id)
    await shop.database.Order.update({ status: 5 }, { where: { id } })
    assert.deepEqual(await shop.timers.list(id), [])
    const cancelled = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', cancelled)
    await shop.timers.cancel('order_confirm', cancelled)
    assert.deepEqual(await shop.timers.list(cancelled), [])
    assert.deepEqual(await shop.timers.list(2147483647), [])
  })

  it('refuses a misspelt option', async () => {
    const message = 'orderTimers: list: unknown option "tx"; the options are transaction'
    assert.deepEqual(await refused(() => shop.timers.list(1, { tx: 1 } as never)), refusal('INVALID_OPTION', 500, message))
  })
})

describe('a dead letter', () => {
  it('is listed with its error and its attempts, left alone, and put back by retry', async () => {
    let broken = true
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, {
        from: 4,
        to: 5,
        deadline: 'confirmDueAt',
        attempts: 1,
        run: () => {
          if (broken) throw new Error('no such warehouse')
        },
      }),
      order_other: async () => {},
    }))
    const worker = await shop.worker()
    const id = await shop.order({ status: 4 })
    const dead = waitForEvent(worker, 'dead')
    await shop.timers.schedule('order_confirm', id, { after: 1 })
    await dead
    await waitUntil(async () => (await shop.timers.dead()).length)
    const letters = await shop.timers.dead()
    const [letter] = letters
    const { at, ...rest } = letter ?? {}
    const error = 'no such warehouse'
    assert.deepEqual(rest, { kind: 'order_confirm', id: String(id), error, attempts: 1, firstError: error, firstAt: at })
    assert.deepEqual(await shop.timers.dead('order_confirm'), letters)
    assert.deepEqual(await shop.timers.dead('order_other'), [])
    assert.equal(await shop.statusOf(id), 4)

    broken = false
    await shop.timers.retry('order_confirm', id)
    await waitUntil(async () => (await shop.statusOf(id)) === 5)
    assert.deepEqual(await shop.timers.dead(), [])
    const message = `orderTimers: order_confirm: "${id}" is no dead letter; dead() lists those that are`
    assert.deepEqual(await refused(() => shop.timers.retry('order_confirm', id)), refusal('NO_TIMER', 409, message))
    await shop.close()
  })
})
