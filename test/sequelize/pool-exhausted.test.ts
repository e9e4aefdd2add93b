import assert from 'node:assert/strict'
import type { Transaction } from 'sequelize'
import { status } from '../../lib/admin/status.js'
import { PostgresLook } from '../../lib/health/postgres.js'
import { type OrderTimersError, transition } from '../../lib/index.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const SAYS = /Sequelize's pool had no free connection in time.*raise "pool\.max"/s

const openSmall = () =>
  openShop(({ Order }) => ({ order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }) }), {
    database: { pool: { max: 2, acquire: 400 } },
  })

describe("a pool of the shop's that has no free connection", () => {
  let shop: Awaited<ReturnType<typeof openSmall>>
  let held: Transaction[] = []

  beforeEach(async () => {
    shop = await openSmall()
    await shop.timers.check()
  })

  afterEach(async () => {
    await free()
    await shop.close()
  })

  const take = async () => {
    const { sequelize } = shop.database
    held = await Promise.all([sequelize.transaction(), sequelize.transaction()])
  }

  const free = async () => {
    await Promise.all(held.splice(0).map((transaction) => transaction.rollback()))
  }

  it('is reported by a call with the option that helps, and not as "Operation timeout" of Postgres', async () => {
    const id = await shop.order({ status: 4 })
    await take()
    await assert.rejects(shop.timers.schedule('order_confirm', id), (error: OrderTimersError) => {
      assert.equal(error.code, 'ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE')
      assert.match(error.message, SAYS)
      assert.doesNotMatch(error.message, /Operation timeout/)
      return true
    })
    await free()
    assert.equal((await shop.timers.schedule('order_confirm', id)).armed, true)
  })

  it('is reported by a worker, which counts no attempt, and settles once one is free', async () => {
    const id = await shop.order({ status: 4 })
    const worker = await shop.worker()
    await shop.timers.schedule('order_confirm', id, { after: 300 })
    await take()
    const fault = await waitUntil(() => worker.faultsTold.find(({ code }) => code === 'POSTGRES_UNAVAILABLE'))
    assert.match(
      fault?.message ?? '',
      /^order_confirm: Sequelize's pool had no free connection in time, orders are kept.*raise "pool\.max"/,
    )
    assert.match(fault?.cause ?? '', /Sequelize's pool had no free connection/)
    await free()
    await waitUntil(async () => (await shop.statusOf(id)) === 5)
    await waitUntil(() => worker.health().faults.length === 0)
    assert.equal(worker.health().kinds.order_confirm?.failed, 0)
  })

  it('is reported by status and by health', async () => {
    await take()
    const { ok, headline } = await status(runtimeOf(shop.timers))
    assert.equal(ok, false)
    assert.match(
      headline,
      /^✘ POSTGRES UNAVAILABLE: Sequelize's pool had no free connection in time, so Postgres was not asked; raise "pool\.max"/,
    )
    const look = new PostgresLook(runtimeOf(shop.timers), async () => [])
    assert.match((await look.read())?.trouble ?? '', SAYS)
    await free()
    await waitUntil(async () => (await look.read())?.trouble === undefined)
  })

  it('is reported by health also before Sequelize gives up: then all connections are in use', async () => {
    const patient = await openShop(
      ({ Order }) => ({ order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }) }),
      { database: { pool: { max: 1, acquire: 60_000 } } },
    )
    await patient.timers.check()
    const taken = await patient.database.sequelize.transaction()
    const look = new PostgresLook(runtimeOf(patient.timers), async () => [])
    assert.match(
      (await look.read())?.trouble ?? '',
      /^no answer in \d+ ms: all 1 connections of Sequelize's pool \("pool\.max"\) are in use; raise/,
    )
    await taken.rollback()
    await waitUntil(async () => (await look.read())?.trouble === undefined)
    await patient.close()
  })
})
