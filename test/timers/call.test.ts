import assert from 'node:assert/strict'
import { Op } from 'sequelize'
import { type OrderTimers, transition } from '../../lib/index.js'
import { Keys } from '../../lib/keys.js'
import { connectionManagerOf } from '../../lib/sequelize/internals.js'
import { armed, NOT_ARMED } from '../support/armed.js'
import { refusal, refused } from '../support/refused.js'
import { makeTimers, openShop, type Shop } from '../support/shop.js'
import { DAY_MS, type OneOfEach, oneOfEach, PAY_MS } from '../support/shop-rules.js'
import { waitUntil } from '../support/waiting.js'

describe('req.orderTimers', () => {
  let shop: Shop<OneOfEach>
  let timers: OrderTimers<OneOfEach>

  beforeEach(async () => {
    shop = await openShop(oneOfEach)
    timers = shop.timers
  })

  afterEach(() => shop.close())

  /** Postgres's clock, milliseconds. */
  const now = async (): Promise<number> => {
    const { rows } = await shop.database.client.query('SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now')
    return rows[0].now
  }
  const orderOf = (id: number) => shop.database.Order.findByPk(id, { rejectOnEmpty: true })
  const deadlineOf = async (id: number) => (await orderOf(id)).confirmDueAt
  const key = (kind: string, id: number | string) => shop.key(`${kind}:${id}`)

  describe('schedule', () => {
    it("writes the deadline on the order's row by Postgres's clock, and arms index and key with it", async () => {
      const id = await shop.order({ status: 4 })
      const before = await now()
      const timer = await timers.schedule('order_confirm', id)
      const after = await now()
      const deadline = timer.deadline as Date
      assert.deepEqual(timer, { kind: 'order_confirm', id: String(id), deadline, armed: true })
      assert.ok(deadline.getTime() >= before + DAY_MS && deadline.getTime() <= after + DAY_MS, `${deadline.toISOString()}`)
      assert.deepEqual(await deadlineOf(id), deadline)
      assert.deepEqual(await armed(shop.redis, 'order_confirm', id), { due: deadline.getTime(), key: deadline.getTime() })
    })

    it('takes another duration, or the deadline itself as a Date or in milliseconds', async () => {
      const id = await shop.order({ status: 4 })
      const before = await now()
      const soon = (await timers.schedule('order_confirm', id, { after: '90s' })).deadline as Date
      assert.ok(soon.getTime() >= before + 90_000 && soon.getTime() < before + 100_000)
      for (const at of [new Date('2030-02-28T23:59:59.999Z'), Date.UTC(2031, 0, 1)]) {
        const timer = await timers.schedule('order_confirm', id, { at })
        assert.deepEqual(timer.deadline, new Date(at))
        assert.deepEqual(await deadlineOf(id), new Date(at))
        assert.deepEqual(await armed(shop.redis, 'order_confirm', id), { due: Number(at), key: Number(at) })
      }
    })

    it('writes the year 9999 too', async () => {
      const id = await shop.order({ status: 4 })
      const at = new Date('9999-12-31T23:59:59.999Z')
      await timers.schedule('order_confirm', id, { at })
      assert.deepEqual(await deadlineOf(id), at)
      const { due } = await armed(shop.redis, 'order_confirm', id)
      assert.ok(due === at.getTime() || due === at.getTime() + 1, String(due)) // rounded up: floats are that coarse there, and no timer may be early
    })

    it('settles an order at once whose deadline has passed already', async () => {
      const id = await shop.order({ status: 4 })
      const worker = await shop.worker({ fallback: false })
      const at = new Date((await now()) - 60_000)
      assert.deepEqual(await timers.schedule('order_confirm', id, { at }), {
        kind: 'order_confirm',
        id: String(id),
        deadline: at,
        armed: true,
      })
      await waitUntil(() => worker.settled.length > 0)
      const [order] = worker.settled
      assert.deepEqual([order?.id, order?.deadline], [String(id), at.getTime()])
      assert.ok((order?.latenessMs as number) >= 60_000)
      assert.equal(await shop.statusOf(id), 5)
    })

    it('under "since" arms what the row says, and writes nothing', async () => {
      const id = await shop.order()
      const before = await orderOf(id)
      const deadline = new Date(before.createdAt.getTime() + PAY_MS)
      const expected = { kind: 'order_pay', id: String(id), deadline, armed: true }
      assert.deepEqual(await timers.schedule('order_pay', id), expected)
      assert.deepEqual(await armed(shop.redis, 'order_pay', id), { due: deadline.getTime(), key: deadline.getTime() })
      assert.deepEqual(await timers.schedule('order_pay', before), expected)
      assert.deepEqual((await orderOf(id)).get(), before.get())
    })

    it('under "since" needs no connection but that of the transaction that it is given, also the first time', async () => {
      const { sequelize, Order } = shop.database.connectSequelize({ pool: { max: 1, acquire: 20_000 } })
      const first = makeTimers(oneOfEach({ Order }), { redis: shop.redis.url, prefix: shop.redis.prefix })
      const acquired: unknown[] = []
      const manager = connectionManagerOf(sequelize)
      const { getConnection } = manager
      manager.getConnection = (options) => {
        acquired.push(new Error('acquired').stack)
        return getConnection.call(manager, options)
      }
      const { deadline } = await sequelize.transaction(async (transaction) =>
        first.schedule('order_pay', await Order.create({}, { transaction }), { transaction }),
      )
      assert.ok(deadline instanceof Date)
      assert.equal(acquired.length, 1, acquired.join('\n'))
      await first.close()
    })

    it('with "deadline: false" and for plain functions arms only in Redis', async () => {
      const id = await shop.order({ status: 2 })
      const row = (await orderOf(id)).get()
      for (const [kind, order, options] of [
        ['order_ship', id, {}],
        ['order_other', 'parcel-7', { after: '24h' }],
      ] as const) {
        const before = await now()
        const timer = await timers.schedule(kind, order, options)
        const deadline = (timer.deadline as Date).getTime()
        assert.deepEqual({ ...timer, deadline }, { kind, id: String(order), deadline, armed: true })
        assert.ok(Math.abs(deadline - (before + DAY_MS)) < 1000)
        assert.deepEqual(await armed(shop.redis, kind, order), { due: deadline, key: deadline })
      }
      assert.deepEqual((await orderOf(id)).get(), row)
    })

    it('again moves the timer: one order has one timer under a rule', async () => {
      const id = await shop.order({ status: 4 })
      await timers.schedule('order_confirm', id)
      const { deadline } = await timers.schedule('order_confirm', id, { after: '48h' })
      assert.equal((await armed(shop.redis, 'order_confirm', id)).due, deadline?.getTime())
      assert.deepEqual((await timers.list(id)).length, 1)
    })

    it('refuses a kind that there is no rule for', async () => {
      const rules = '"order_confirm", "order_pay", "order_ship", "order_other"'
      const expected = refusal('UNKNOWN_KIND', 400, `orderTimers: there is no rule "order_cofirm"; the rules are ${rules}`)
      const id = await shop.order({ status: 4 })
      for (const call of ['schedule', 'cancel', 'remaining'] as const)
        assert.deepEqual(await refused(() => timers[call]('order_cofirm' as never, id)), expected)
      assert.deepEqual(await refused(() => timers.extend('order_cofirm' as never, id, '1h')), expected)
      const forged = await refused(() => timers.schedule('constructor\r\n[ERROR]' as never, id))
      assert.equal(forged.message, `orderTimers: there is no rule "constructor\\r\\n[ERROR]"; the rules are ${rules}`)
      assert.equal((await refused(() => timers.schedule('__proto__' as never, id))).code, 'ERR_ORDER_TIMERS_UNKNOWN_KIND')
    })

    it('refuses an order that does not exist', async () => {
      for (const kind of ['order_confirm', 'order_pay', 'order_ship'] as const) {
        const expected = refusal('ORDER_NOT_FOUND', 404, `orderTimers: ${kind}: there is no Order "2147483647"`)
        assert.deepEqual(await refused(() => timers.schedule(kind, 2147483647)), expected)
        assert.deepEqual(await refused(() => timers.remaining(kind, 2147483647)), expected)
      }
      const expected = refusal('ORDER_NOT_FOUND', 404, 'orderTimers: order_confirm: there is no Order "2147483647"')
      assert.deepEqual(await refused(() => timers.extend('order_confirm', 2147483647, '1h')), expected)
      assert.deepEqual(await refused(() => timers.cancel('order_confirm', '2147483647')), expected)
    })

    it('refuses an order that is not in "from", and leaves it as it is', async () => {
      const id = await shop.order({ status: 3 })
      const row = (await orderOf(id)).get()
      const expected = (kind: string, from: string) =>
        refusal('ORDER_NOT_IN_FROM', 409, `orderTimers: ${kind}: Order "${id}" has status 3; the rule applies to "${from}"`)
      assert.deepEqual(await refused(() => timers.schedule('order_confirm', id)), expected('order_confirm', '4'))
      assert.deepEqual(await refused(() => timers.extend('order_confirm', id, '1h')), expected('order_confirm', '4'))
      assert.deepEqual(await refused(() => timers.cancel('order_confirm', id)), expected('order_confirm', '4'))
      assert.deepEqual(await refused(() => timers.schedule('order_pay', id)), expected('order_pay', '1'))
      assert.deepEqual(await refused(async () => timers.schedule('order_pay', await orderOf(id))), expected('order_pay', '1'))
      assert.deepEqual(await refused(() => timers.schedule('order_ship', id)), expected('order_ship', '2'))
      assert.deepEqual((await orderOf(id)).get(), row)
      for (const kind of ['order_confirm', 'order_pay', 'order_ship']) assert.deepEqual(await armed(shop.redis, kind, id), NOT_ARMED)
    })

    it('refuses an order whose "where" does not hold, and says that there is one', async () => {
      const { Order } = shop.database
      const rules = {
        big_confirm: transition(Order, {
          from: [3, 4],
          to: 5,
          deadline: 'confirmDueAt',
          after: '24h',
          where: { total: { [Op.gte]: 500 } },
        }),
      }
      const big = makeTimers(rules, { redis: shop.redis.url, prefix: shop.redis.prefix })
      const id = await shop.order({ status: 4, total: 499 })
      const message = `orderTimers: big_confirm: Order "${id}" has status 4; the rule applies to "3" or "4", and its "where" must hold`
      assert.deepEqual(await refused(() => big.schedule('big_confirm', id)), refusal('ORDER_NOT_IN_FROM', 409, message))
      await Order.update({ total: 500 }, { where: { id } })
      await big.schedule('big_confirm', id)
      await big.close()
    })

    it('refuses an invalid duration or deadline before it looks for the order', async () => {
      const duration = (option: string, shown: string) =>
        refusal(
          'INVALID_DURATION',
          400,
          `orderTimers: order_confirm: "${option}" must be a duration such as '24h' or a positive whole number of milliseconds, of ten years at most, got ${shown}`,
        )
      const nobody = 2147483647
      assert.deepEqual(
        await refused(() => timers.schedule('order_confirm', nobody, { after: '15 min' as never })),
        duration('after', '"15 min"'),
      )
      assert.deepEqual(await refused(() => timers.schedule('order_confirm', nobody, { after: null as never })), duration('after', 'null'))
      assert.deepEqual(await refused(() => timers.extend('order_confirm', nobody, -5)), duration('by', '-5'))
      assert.deepEqual(await refused(() => timers.extend('order_confirm', nobody, undefined as never)), duration('by', 'undefined'))
      const at =
        'orderTimers: order_confirm: "at" must be a Date, or whole milliseconds since 1970, no later than the year 9999, got Invalid Date'
      assert.deepEqual(
        await refused(() => timers.schedule('order_confirm', nobody, { at: new Date('soon') })),
        refusal('INVALID_DEADLINE', 400, at),
      )
      const both = 'orderTimers: order_confirm: give "after" or "at", not both'
      assert.deepEqual(
        await refused(() => timers.schedule('order_confirm', nobody, { after: '1h', at: new Date() })),
        refusal('INVALID_DEADLINE', 400, both),
      )
    })

    it('wants to know the duration where the rule has none', async () => {
      const message = `orderTimers: order_other: "after" must be a duration such as '24h' or a positive whole number of milliseconds, of ten years at most, got undefined`
      assert.deepEqual(await refused(() => timers.schedule('order_other', 7)), refusal('INVALID_DURATION', 400, message))
    })

    it('refuses a misspelt option', async () => {
      const message = 'orderTimers: order_confirm: unknown option "transction"; the options are '
      const wrong = { transction: null } as never
      const expected = (known: string) => refusal('INVALID_OPTION', 500, message + known)
      assert.deepEqual(await refused(() => timers.schedule('order_confirm', 1, wrong)), expected('after, at, transaction'))
      assert.deepEqual(await refused(() => timers.extend('order_confirm', 1, '1h', wrong)), expected('transaction'))
      assert.deepEqual(await refused(() => timers.cancel('order_confirm', 1, wrong)), expected('transaction'))
      assert.deepEqual(await refused(() => timers.remaining('order_confirm', 1, wrong)), expected('transaction'))
    })

    it('under "since" refuses a deadline of the order\'s own', async () => {
      const id = await shop.order()
      const message = (option: string) =>
        `orderTimers: order_pay: "${option}" cannot be given to a rule with "since"; its deadline is "createdAt" and 900000 ms; declare the rule with "deadline" for orders with a deadline of their own`
      assert.deepEqual(
        await refused(() => timers.schedule('order_pay', id, { after: '1h' })),
        refusal('NOT_ON_SINCE', 400, message('after')),
      )
      assert.deepEqual(
        await refused(() => timers.schedule('order_pay', id, { at: new Date() })),
        refusal('NOT_ON_SINCE', 400, message('at')),
      )
    })
  })

  describe('extend', () => {
    it('moves the deadline by so much from where it is, on the row and in Redis', async () => {
      const id = await shop.order({ status: 4 })
      const { deadline } = await timers.schedule('order_confirm', id)
      const moved = new Date((deadline as Date).getTime() + 3_600_000)
      assert.deepEqual(await timers.extend('order_confirm', id, '1h'), {
        kind: 'order_confirm',
        id: String(id),
        deadline: moved,
        armed: true,
      })
      assert.deepEqual(await deadlineOf(id), moved)
      assert.deepEqual(await armed(shop.redis, 'order_confirm', id), { due: moved.getTime(), key: moved.getTime() })
    })

    it('moves one that is only in Redis, and one that somebody else has set', async () => {
      const id = await shop.order({ status: 2 })
      const { deadline } = await timers.schedule('order_ship', id)
      const moved = (deadline as Date).getTime() + 60_000
      assert.deepEqual(await timers.extend('order_ship', id, '60s'), {
        kind: 'order_ship',
        id: String(id),
        deadline: new Date(moved),
        armed: true,
      })
      assert.deepEqual(await armed(shop.redis, 'order_ship', id), { due: moved, key: moved })

      await shop.redis.client.setex(key('order_other', 'a7'), 100, 1)
      const expiry = await shop.redis.client.pexpiretime(key('order_other', 'a7'))
      const extended = (await timers.extend('order_other', 'a7', '60s')).deadline as Date
      assert.ok(Math.abs(extended.getTime() - expiry - 60_000) <= 1, `${extended.getTime() - expiry}`)
    })

    it('refuses where there is no timer', async () => {
      const id = await shop.order({ status: 4 })
      const message = `orderTimers: order_confirm: Order "${id}" has no deadline to extend; call schedule('order_confirm', …) first`
      assert.deepEqual(await refused(() => timers.extend('order_confirm', id, '1h')), refusal('NO_TIMER', 409, message))
      const other = 'orderTimers: order_other: "7" has no timer to extend; it was settled already, or never scheduled'
      assert.deepEqual(await refused(() => timers.extend('order_other', 7, '1h')), refusal('NO_TIMER', 409, other))
    })
  })

  describe('cancel', () => {
    it('takes the deadline off the row and the timer out of Redis', async () => {
      const id = await shop.order({ status: 4 })
      await timers.schedule('order_confirm', id)
      assert.deepEqual(await timers.cancel('order_confirm', id), { kind: 'order_confirm', id: String(id), deadline: null, armed: false })
      assert.equal(await deadlineOf(id), null)
      assert.deepEqual(await armed(shop.redis, 'order_confirm', id), NOT_ARMED)
    })

    it('leaves in Redis a timer that was armed for another deadline meanwhile', async () => {
      const id = await shop.order({ status: 4 })
      const { deadline } = await timers.schedule('order_confirm', id)
      const later = (deadline as Date).getTime() + 1000
      await shop.redis.client.zadd(new Keys(shop.redis.prefix).sets('order_confirm').due, later, String(id))
      await timers.cancel('order_confirm', id)
      assert.equal((await armed(shop.redis, 'order_confirm', id)).due, later)
    })

    it('twice has the effect of once', async () => {
      const id = await shop.order({ status: 4 })
      await timers.schedule('order_confirm', id)
      await timers.cancel('order_confirm', id)
      assert.equal((await timers.cancel('order_confirm', id)).deadline, null)
    })

    it('removes one that is only in Redis, and says if there is none', async () => {
      const id = await shop.order({ status: 2 })
      await timers.schedule('order_ship', id)
      assert.deepEqual(await timers.cancel('order_ship', id), { kind: 'order_ship', id: String(id), deadline: null, armed: false })
      assert.deepEqual(await armed(shop.redis, 'order_ship', id), NOT_ARMED)
      const message = `orderTimers: order_ship: "${id}" has no timer to cancel; it was settled already, or never scheduled`
      assert.deepEqual(await refused(() => timers.cancel('order_ship', id)), refusal('NO_TIMER', 409, message))
    })

    it('and extend are refused under "since"', async () => {
      const id = await shop.order()
      const message = (call: string) =>
        `orderTimers: order_pay: ${call}() is not for a rule with "since" ("createdAt"); its deadline follows from the row; declare it with "deadline" for orders with a deadline of their own`
      assert.deepEqual(await refused(() => timers.cancel('order_pay' as never, id)), refusal('NOT_ON_SINCE', 400, message('cancel')))
      assert.deepEqual(await refused(() => timers.extend('order_pay' as never, id, '1h')), refusal('NOT_ON_SINCE', 400, message('extend')))
    })
  })

  describe('remaining', () => {
    it("is the time to the deadline by Postgres's clock, whatever the form of the rule", async () => {
      const [shipped, placed, paid] = [await shop.order({ status: 4 }), await shop.order(), await shop.order({ status: 2 })]
      await timers.schedule('order_confirm', shipped)
      await timers.schedule('order_ship', paid)
      await timers.schedule('order_other', 7, { after: '1h' })
      const left: [number | null, number][] = [
        [await timers.remaining('order_confirm', shipped), DAY_MS],
        [await timers.remaining('order_pay', placed), PAY_MS],
        [await timers.remaining('order_ship', paid), DAY_MS],
        [await timers.remaining('order_other', 7), 3_600_000],
      ]
      for (const [remaining, most] of left)
        assert.ok(remaining !== null && remaining <= most && remaining > most - 2000, `${remaining} of ${most}`)
    })

    it('is 0 where the deadline has passed, and null where there is no timer', async () => {
      const [overdue, without, confirmed] = [
        await shop.order({ status: 4 }),
        await shop.order({ status: 4 }),
        await shop.order({ status: 5 }),
      ]
      await timers.schedule('order_confirm', overdue, { at: Date.now() - 5000 })
      assert.equal(await timers.remaining('order_confirm', overdue), 0)
      assert.equal(await timers.remaining('order_confirm', without), null)
      assert.equal(await timers.remaining('order_confirm', confirmed), null)
      assert.equal(await timers.remaining('order_pay', confirmed), null)
      assert.equal(await timers.remaining('order_ship', confirmed), null)
      assert.equal(await timers.remaining('order_other', 7), null)
    })

    it('counts a key that somebody else has set', async () => {
      const id = await shop.order({ status: 2 })
      await shop.redis.client.setex(key('order_ship', id), 100, 1)
      const remaining = (await timers.remaining('order_ship', id)) as number
      assert.ok(remaining > 98_000 && remaining <= 100_001, String(remaining))
    })
  })

  it('is refused once the timers are closed', async () => {
    const id = await shop.order({ status: 4 })
    await timers.close()
    await timers.close()
    const expected = refusal('CLOSED', 503, 'orderTimers: these timers are closed; make new ones with orderTimers({ … })')
    assert.deepEqual(await refused(() => timers.schedule('order_confirm', id)), expected)
    assert.deepEqual(await refused(() => timers.list(id)), expected)
    assert.equal(await deadlineOf(id), null)
  })
})

describe('timers without Redis', () => {
  const settings: [string, object, string][] = [
    ['redis: false', { redis: false }, '"redis" is false'],
    ['enabled: false', { enabled: false }, 'the timers are switched off (ORDER_TIMERS=off or enabled: false)'],
  ]
  for (const [title, options, why] of settings) {
    describe(`(${title})`, () => {
      let shop: Shop<OneOfEach>

      beforeEach(async () => {
        shop = await openShop(oneOfEach, options)
      })

      afterEach(() => shop.close())

      it('write rows and arm nothing', async () => {
        const id = await shop.order({ status: 4 })
        const timer = await shop.timers.schedule('order_confirm', id)
        assert.equal(timer.armed, false)
        assert.deepEqual((await shop.database.Order.findByPk(id))?.confirmDueAt, timer.deadline)
        assert.equal((await shop.timers.extend('order_confirm', id, '1h')).armed, false)
        assert.equal((await shop.timers.schedule('order_pay', await shop.order())).armed, false)
        assert.equal((await shop.timers.list(id)).length, 1)
        assert.equal((await shop.timers.cancel('order_confirm', id)).deadline, null)
        assert.deepEqual(await shop.redis.client.keys(`${shop.redis.prefix}*`), [])
      })

      it('refuse what would be only in Redis', async () => {
        const id = await shop.order({ status: 2 })
        const letters = `orderTimers: order_confirm: ${why}, and then only the worker that failed knows its dead letters, and logs them; give "redis" to list and retry them`
        assert.deepEqual(await refused(() => shop.timers.retry('order_confirm', id)), refusal('REDIS_UNAVAILABLE', 503, letters))
        const message = (kind: string) =>
          `orderTimers: ${kind}: ${why}, and its deadlines are only in Redis; declare it with "deadline" to have them on the row`
        assert.deepEqual(
          await refused(() => shop.timers.schedule('order_ship', id)),
          refusal('REDIS_UNAVAILABLE', 503, message('order_ship')),
        )
        assert.deepEqual(
          await refused(() => shop.timers.schedule('order_other', 7, { after: '1h' })),
          refusal('REDIS_UNAVAILABLE', 503, message('order_other')),
        )
        assert.deepEqual(
          await refused(() => shop.timers.cancel('order_other', 7)),
          refusal('REDIS_UNAVAILABLE', 503, message('order_other')),
        )
      })
    })
  }

  it('settle by the sweep alone', async () => {
    const shop = await openShop(oneOfEach, { redis: false })
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id, { at: Date.now() - 1000 })
    const worker = await shop.worker()
    assert.equal(await shop.statusOf(id), 5)
    assert.equal(worker.settled[0]?.via, 'sweep')
    assert.equal(worker.health().redis, undefined)
    assert.equal(worker.health().status, 'ok')
    await shop.close()
  })

  it('settle nothing when they are switched off, by the option or by ORDER_TIMERS=off', async () => {
    const off = async (options: object) => {
      const shop = await openShop(oneOfEach, options)
      const id = await shop.order({ status: 4 })
      await shop.timers.schedule('order_confirm', id, { at: Date.now() - 1000 })
      const worker = await shop.worker()
      assert.equal(worker.health().status, 'stopped')
      await worker.stop()
      assert.equal(await shop.statusOf(id), 4)
      await shop.close()
    }
    await off({ enabled: false })
    process.env.ORDER_TIMERS = 'off'
    try {
      await off({})
    } finally {
      delete process.env.ORDER_TIMERS
    }
  })
})
