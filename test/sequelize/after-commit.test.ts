import assert from 'node:assert/strict'
import type { OrderTimers } from '../../lib/index.js'
import { armed, NOT_ARMED } from '../support/armed.js'
import { ClsNamespace } from '../support/cls-namespace.js'
import { refusal, refused } from '../support/refused.js'
import { openShop, type Shop } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { waitUntil } from '../support/waiting.js'

describe('a call within a transaction', () => {
  let shop: Shop<OneOfEach>
  let timers: OrderTimers<OneOfEach>
  let sequelize: Shop<OneOfEach>['database']['sequelize']
  let id: number

  beforeEach(async () => {
    shop = await openShop(oneOfEach, { database: { sequelize: { pool: { max: 5 } } } })
    timers = shop.timers
    sequelize = shop.database.sequelize
    id = await shop.order({ status: 4 })
  })

  afterEach(() => shop.close())

  /** What another connection sees. */
  const deadlineOf = async (): Promise<Date | null> => {
    const { rows } = await shop.database.client.query('SELECT "confirmDueAt" AS deadline FROM orders WHERE id = $1', [id])
    return rows[0].deadline
  }
  const due = async () => (await armed(shop.redis, 'order_confirm', id)).due

  it('writes in it, and arms when it has committed and not before', async () => {
    const timer = await sequelize.transaction(async (transaction) => {
      const timer = await timers.schedule('order_confirm', id, { transaction })
      assert.equal(await deadlineOf(), null)
      assert.deepEqual(await armed(shop.redis, 'order_confirm', id), NOT_ARMED)
      return timer
    })
    assert.equal(timer.armed, 'on commit')
    assert.deepEqual(await deadlineOf(), timer.deadline)
    assert.equal(await due(), timer.deadline?.getTime())
  })

  it('leaves nothing behind when it is rolled back', async () => {
    await assert.rejects(
      sequelize.transaction(async (transaction) => {
        await timers.schedule('order_confirm', id, { transaction })
        throw new Error('no stock')
      }),
      /no stock/,
    )
    const unmanaged = await sequelize.transaction()
    await timers.schedule('order_confirm', id, { transaction: unmanaged })
    await unmanaged.rollback()
    assert.equal(await deadlineOf(), null)
    assert.deepEqual(await armed(shop.redis, 'order_confirm', id), NOT_ARMED)
  })

  it('sees what the transaction has written: the order that it has just inserted, the status that it has just changed', async () => {
    await sequelize.transaction(async (transaction) => {
      const order = await shop.database.Order.create({ status: 1 }, { transaction })
      assert.equal((await refused(() => timers.schedule('order_confirm', order.id))).code, 'ERR_ORDER_TIMERS_ORDER_NOT_FOUND')
      assert.equal(
        (await refused(() => timers.schedule('order_confirm', order, { transaction }))).code,
        'ERR_ORDER_TIMERS_ORDER_NOT_IN_FROM',
      )
      await order.update({ status: 4 }, { transaction })
      const { deadline } = await timers.schedule('order_confirm', order, { transaction })
      assert.ok(((await timers.remaining('order_confirm', order, { transaction })) as number) > 0)
      assert.deepEqual(
        (await timers.list(order.id, { transaction })).map((timer) => timer.deadline),
        [deadline],
      )
    })
  })

  it('with an unmanaged transaction arms at its commit', async () => {
    const transaction = await sequelize.transaction()
    const timer = await timers.schedule('order_confirm', id, { transaction })
    assert.equal(await due(), null)
    await transaction.commit()
    assert.equal(await due(), timer.deadline?.getTime())
  })

  it('extends and cancels in it, and Redis follows after the commit', async () => {
    const { deadline } = await timers.schedule('order_confirm', id)
    await sequelize.transaction(async (transaction) => {
      await timers.extend('order_confirm', id, '1h', { transaction })
      assert.equal(await due(), deadline?.getTime())
    })
    assert.equal(await due(), (deadline as Date).getTime() + 3_600_000)
    await assert.rejects(
      sequelize.transaction(async (transaction) => {
        await timers.cancel('order_confirm', id, { transaction })
        throw new Error('changed my mind')
      }),
    )
    assert.equal(await due(), (deadline as Date).getTime() + 3_600_000)
    await sequelize.transaction(async (transaction) => {
      await timers.cancel('order_confirm', id, { transaction })
      assert.notEqual(await due(), null)
    })
    assert.deepEqual([await deadlineOf(), await due()], [null, null])
  })

  it('in a nested transaction arms when the outermost has committed', async () => {
    let deadline: Date | null = null
    await sequelize.transaction(async (outer) => {
      await sequelize.transaction({ transaction: outer }, async (inner) => {
        deadline = (await timers.schedule('order_confirm', id, { transaction: inner })).deadline
      })
      assert.equal(await due(), null)
    })
    assert.deepEqual(await deadlineOf(), deadline)
    assert.equal(await due(), (deadline as Date | null)?.getTime())
  })

  it('in a nested transaction arms nothing when that or the outermost is rolled back', async () => {
    const other = await shop.order({ status: 4 })
    await sequelize.transaction(async (outer) => {
      await timers.schedule('order_confirm', other, { transaction: outer })
      await sequelize
        .transaction({ transaction: outer }, async (inner) => {
          await timers.schedule('order_confirm', id, { transaction: inner })
          throw new Error('inner')
        })
        .catch(() => {})
    })
    assert.deepEqual([await deadlineOf(), await due()], [null, null])
    assert.notEqual((await armed(shop.redis, 'order_confirm', other)).due, null)
    await sequelize
      .transaction(async (outer) => {
        await sequelize.transaction({ transaction: outer }, (inner) => timers.schedule('order_confirm', id, { transaction: inner }))
        throw new Error('outer')
      })
      .catch(() => {})
    assert.deepEqual([await deadlineOf(), await due()], [null, null])
  })

  it("arms although the shop's own afterCommit throws, whichever of the two was first", async () => {
    for (const theirsFirst of [true, false]) {
      const hook = () => {
        throw new Error('the mail server is down')
      }
      let deadline: Date | null = null
      const committed = sequelize.transaction(async (transaction) => {
        if (theirsFirst) transaction.afterCommit(hook)
        deadline = (await timers.schedule('order_confirm', id, { transaction })).deadline
        if (!theirsFirst) transaction.afterCommit(hook)
      })
      await assert.rejects(committed, /the mail server is down/)
      assert.deepEqual(await deadlineOf(), deadline)
      assert.equal(await due(), (deadline as Date | null)?.getTime())
      await timers.cancel('order_confirm', id)
    }
  })

  it('arms nothing when COMMIT itself fails', async () => {
    const { client } = shop.database
    await client.query('ALTER TABLE orders ADD COLUMN parent int REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED')
    const warn = console.warn // Sequelize's own way of saying so
    console.warn = () => {}
    try {
      const failed = sequelize.transaction(async (transaction) => {
        await timers.schedule('order_confirm', id, { transaction })
        await sequelize.query(`UPDATE orders SET parent = 2147483647 WHERE id = ${id}`, { transaction })
      })
      await assert.rejects(failed, /foreign key/)
    } finally {
      console.warn = warn
    }
    assert.deepEqual([await deadlineOf(), await due()], [null, null])
  })

  it('for all orders that it scheduled, hundreds of them', async () => {
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: 300 }, () => ({ status: 4 })))
    await sequelize.transaction(async (transaction) => {
      for (const order of orders) await timers.schedule('order_confirm', order, { transaction })
    })
    const members = await shop.redis.client.zcard(`${shop.redis.prefix}order-timers:{order_confirm}:due`)
    assert.equal(members, 300)
  })

  it('also schedules, extends and cancels what is only in Redis when it has committed', async () => {
    const paid = await shop.order({ status: 2 })
    const rollBack = (call: (options: { transaction: import('sequelize').Transaction }) => Promise<unknown>) =>
      sequelize
        .transaction(async (transaction) => {
          await call({ transaction })
          throw new Error('rolled back')
        })
        .catch((error: Error) => assert.equal(error.message, 'rolled back'))
    const dueOf = async (kind: string, order: number) => (await armed(shop.redis, kind, order)).due

    for (const [kind, order] of [
      ['order_ship', paid],
      ['order_other', 7],
    ] as const) {
      await rollBack((options) => timers.schedule(kind, order, { after: '1h', ...options }))
      assert.equal(await dueOf(kind, order), null, `${kind} was armed although rolled back`)
      const { deadline } = await timers.schedule(kind, order, { after: '1h' })
      await rollBack((options) => timers.extend(kind, order, '1h', options))
      assert.equal(await dueOf(kind, order), deadline?.getTime(), `${kind} was extended although rolled back`)
      await rollBack((options) => timers.cancel(kind, order, options))
      assert.equal(await dueOf(kind, order), deadline?.getTime(), `${kind} was cancelled although rolled back`)
      await sequelize.transaction((transaction) => timers.extend(kind, order, '1h', { transaction }))
      assert.equal(await dueOf(kind, order), (deadline as Date).getTime() + 3_600_000)
      await sequelize.transaction((transaction) => timers.cancel(kind, order, { transaction }))
      assert.equal(await dueOf(kind, order), null)
    }
  })

  it('takes several calls about a timer that only Redis has in their order, each on what the one before it leaves', async () => {
    const HOUR_MS = 3_600_000
    const ship = await shop.order({ status: 2 })
    for (const [kind, order] of [
      ['order_ship', ship],
      ['order_other', 7],
    ] as const) {
      const due = async () => (await armed(shop.redis, kind, order)).due
      await timers.schedule(kind, order, { after: '1h' })
      await sequelize.transaction(async (transaction) => {
        await timers.extend(kind, order, '1h', { transaction })
        await timers.cancel(kind, order, { transaction })
        const { code } = await refused(() => timers.extend(kind, order, '1h', { transaction }))
        assert.equal(code, 'ERR_ORDER_TIMERS_NO_TIMER')
      })
      assert.deepEqual(await armed(shop.redis, kind, order), NOT_ARMED, `${kind}: extended, cancelled`)
      const last = await sequelize.transaction(async (transaction) => {
        const { deadline } = await timers.schedule(kind, order, { after: '1h', transaction })
        await timers.extend(kind, order, '1h', { transaction })
        await sequelize
          .transaction({ transaction }, async (inner) => {
            await timers.cancel(kind, order, { transaction: inner })
            throw new Error('inner')
          })
          .catch(() => {})
        const extended = await timers.extend(kind, order, '1h', { transaction })
        assert.equal(extended.deadline?.getTime(), (deadline as Date).getTime() + 2 * HOUR_MS)
        return extended
      })
      assert.equal(await due(), last.deadline?.getTime(), `${kind}: scheduled, extended twice`)
      const again = await sequelize.transaction(async (transaction) => {
        await timers.cancel(kind, order, { transaction })
        return timers.schedule(kind, order, { after: '5h', transaction })
      })
      assert.equal(await due(), again.deadline?.getTime(), `${kind}: cancelled, scheduled`)
      await timers.cancel(kind, order)
      await sequelize.transaction(async (transaction) => {
        await timers.schedule(kind, order, { after: '1h', transaction })
        await timers.cancel(kind, order, { transaction })
      })
      assert.deepEqual(await armed(shop.redis, kind, order), NOT_ARMED, `${kind}: scheduled, cancelled`)
    }
  })

  it('has no effect if an error was swallowed, so that Postgres rolls back at COMMIT', async () => {
    const { deadline } = await timers.schedule('order_other', 7, { after: '1h' })
    await sequelize.transaction(async (transaction) => {
      await timers.schedule('order_confirm', id, { transaction })
      await timers.cancel('order_other', 7, { transaction })
      await sequelize.query('SELECT 1 / 0', { transaction }).catch(() => {})
    })
    assert.deepEqual([await deadlineOf(), await due()], [null, null])
    assert.equal((await armed(shop.redis, 'order_other', 7)).due, deadline?.getTime())
    await sequelize.transaction((transaction) => timers.cancel('order_other', 7, { transaction }))
    assert.deepEqual(await armed(shop.redis, 'order_other', 7), NOT_ARMED)
  })

  it('commits at once although Redis does not answer', async () => {
    const proxy = await TcpProxy.start(Number(new URL(shop.redis.url).port))
    const slow = await openShop(oneOfEach, { redis: `redis://127.0.0.1:${proxy.port}` })
    await slow.timers.check()
    proxy.silence()
    const order = await slow.order({ status: 4 })
    const startedAt = performance.now()
    const timer = await slow.database.sequelize.transaction((transaction) => slow.timers.schedule('order_confirm', order, { transaction }))
    assert.ok(performance.now() - startedAt < 2000, `${performance.now() - startedAt} ms`)
    assert.equal(timer.armed, 'on commit')
    assert.deepEqual((await slow.database.Order.findByPk(order))?.confirmDueAt, timer.deadline)
    await slow.close()
    await proxy.stop()
  })
})

describe('a call without a transaction', () => {
  it('waits two seconds for a row that is locked, and says what to do', async () => {
    const shop = await openShop(oneOfEach)
    const id = await shop.order({ status: 4 })
    await shop.database.sequelize.transaction(async (transaction) => {
      await shop.database.Order.update({ note: 'locks it' }, { where: { id }, transaction })
      const startedAt = performance.now()
      const message = `orderTimers: order_confirm: Order "${id}" is locked by another transaction, waited 2000 ms; if that is a transaction of this very request, pass { transaction }`
      const refusals = await Promise.all([
        refused(() => shop.timers.schedule('order_confirm', id)),
        refused(() => shop.timers.cancel('order_confirm', id)),
      ])
      for (const one of refusals) assert.deepEqual(one, refusal('ROW_LOCKED', 503, message))
      assert.ok(performance.now() - startedAt >= 1990 && performance.now() - startedAt < 4000)
      await shop.timers.schedule('order_confirm', id, { transaction })
    })
    await shop.close()
  })

  it('goes on as soon as the row is free', async () => {
    const shop = await openShop(oneOfEach)
    const id = await shop.order({ status: 4 })
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query('SELECT 1 FROM orders WHERE id = $1 FOR UPDATE', [id])
    const call = shop.timers.schedule('order_confirm', id)
    const blocked = `SELECT 1 FROM pg_locks WHERE NOT granted AND ${(holder as unknown as { processID: number }).processID} = ANY(pg_blocking_pids(pid))`
    await waitUntil(async () => (await shop.database.client.query(blocked)).rowCount, { what: 'the call to wait for the lock' })
    await holder.query('COMMIT')
    assert.equal((await call).armed, true)
    await shop.close()
  })

  it('leaves the lock timeout of its connection as it was', async () => {
    const shop = await openShop(oneOfEach, { database: { pool: { max: 1 } } })
    await shop.timers.schedule('order_confirm', await shop.order({ status: 4 }))
    const [rows] = await shop.database.sequelize.query('SHOW lock_timeout')
    assert.deepEqual(rows, { lock_timeout: '0' })
    await shop.close()
  })
})

describe('a call under CLS', () => {
  let shop: Shop<OneOfEach>
  let namespace: ClsNamespace

  beforeEach(async () => {
    shop = await openShop(oneOfEach)
    namespace = ClsNamespace.use()
  })

  afterEach(async () => {
    namespace.end()
    await shop.close()
  })

  it('joins the transaction that is under way', async () => {
    const { sequelize, Order } = shop.database
    const id = await shop.order({ status: 1 })
    const rolledBack = sequelize.transaction(async () => {
      await Order.update({ status: 4 }, { where: { id } })
      assert.equal((await shop.timers.schedule('order_confirm', id)).armed, 'on commit')
      assert.equal((await shop.timers.list(id)).length, 1)
      throw new Error('rolled back')
    })
    await assert.rejects(rolledBack, /rolled back/)
    assert.equal((await Order.findByPk(id))?.confirmDueAt, null)
    const timer = await sequelize.transaction(async () => {
      await Order.update({ status: 4 }, { where: { id } })
      return shop.timers.schedule('order_confirm', id)
    })
    assert.equal((await armed(shop.redis, 'order_confirm', id)).due, timer.deadline?.getTime())
  })

  it('stands outside of it with { transaction: null }', async () => {
    const id = await shop.order({ status: 4 })
    await assert.rejects(
      shop.database.sequelize.transaction(async () => {
        assert.equal((await shop.timers.schedule('order_confirm', id, { transaction: null })).armed, true)
        throw new Error('rolled back')
      }),
    )
    assert.notEqual((await shop.database.Order.findByPk(id))?.confirmDueAt, null)
  })

  it('outside of any transaction is an ordinary one', async () => {
    const id = await shop.order({ status: 4 })
    assert.equal((await shop.timers.schedule('order_confirm', id)).armed, true)
    await namespace.run(async () => assert.equal((await shop.timers.extend('order_confirm', id, '1h')).armed, true))
  })

  it('does not draw the worker into the transaction that it was started in', async () => {
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id, { at: Date.now() - 1000 })
    await assert.rejects(
      shop.database.sequelize.transaction(async () => {
        await shop.worker()
        throw new Error('rolled back')
      }),
      /rolled back/,
    )
    await waitUntil(async () => (await shop.statusOf(id)) === 5)
  })
})
