// The package loaded several times in one process: its two builds, CommonJS and ESM, beside the sources that the tests themselves use.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import * as sources from '../lib/index.js'
import { armed, NOT_ARMED } from './support/armed.js'
import { openDatabase } from './support/database.js'
import { enter } from './support/opened.js'
import { openRedis } from './support/redis.js'
import { refused } from './support/refused.js'
import { watched } from './support/shop.js'
import { waitUntil } from './support/waiting.js'

type Copy = typeof sources

const commonjs = createRequire(import.meta.url)('../dist/cjs/index.js') as Copy
const DUE = { from: 4, to: 5, deadline: 'confirmDueAt', after: '1h' } as const

describe('copies of the package in one process', () => {
  let esm: Copy
  let copies: [string, Copy][]

  before(async () => {
    esm = (await import('../dist/esm/index.js' as string)) as Copy
    copies = Object.entries({ sources, commonjs, esm })
    assert.equal(new Set(copies.map(([, copy]) => copy.OrderTimersError)).size, 3)
  })

  it('know the errors of each other, and no others', async () => {
    for (const [maker, { OrderTimersError: Made, orderTimers }] of copies) {
      class OwnError extends Made {}
      const thrown = await Promise.resolve()
        .then(() => orderTimers({ redis: false, rules: {} }))
        .catch((error: unknown) => error)
      for (const [judge, { OrderTimersError }] of copies) {
        class OtherError extends OrderTimersError {}
        for (const error of [new Made('CLOSED', 'x'), thrown, new OwnError('CLOSED', 'x')]) {
          assert.ok(error instanceof OrderTimersError, `${judge} of ${maker}`)
          assert.ok(error instanceof Error)
          assert.ok(!(error instanceof OtherError), `${judge} of ${maker}`)
        }
        assert.ok(new OwnError('CLOSED', 'x') instanceof OwnError)
        assert.ok(!(new Made('CLOSED', 'x') instanceof OwnError))
        const look = { name: 'OrderTimersError', code: 'ERR_ORDER_TIMERS_CLOSED', status: 503, expose: false }
        for (const other of [new TypeError('x'), look, null, undefined, 'x', 5, () => {}]) {
          assert.ok(!((other as unknown) instanceof OrderTimersError), String(other))
        }
      }
    }
  })

  it('work on one shop: timers of one, a worker of another, and a wrong rule is told as one', async () => {
    const [redis, database] = await Promise.all([openRedis(), openDatabase()])
    for (const [, { orderTimers, transition }] of copies) {
      for (const [, { startExpiryWorker }] of copies) {
        const prefix = `${redis.prefix}${Math.random()}`
        const rules = {
          order_confirm: transition(database.Order, { ...DUE }),
          wrong: transition(database.Order, { ...DUE, deadline: 'note' as never }),
        }
        const wrong = orderTimers({ redis: redis.url, prefix, rules, logger: false })
        assert.equal((await refused(() => startExpiryWorker(wrong))).code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
        await wrong.close()
        const { order_confirm } = rules
        const timers = orderTimers({ redis: redis.url, prefix, rules: { order_confirm }, logger: false })
        const strikeOut = enter('timers', () => timers.close())
        const worker = watched(startExpiryWorker(timers, { fallback: false }) as never)
        await worker.ready
        const { id } = await database.Order.create({ status: 4 })
        await timers.schedule('order_confirm', id, { after: 1 })
        await waitUntil(() => worker.settled.length)
        const { code } = await refused(() => timers.schedule('order_confirm', id))
        assert.equal(code, 'ERR_ORDER_TIMERS_ORDER_NOT_IN_FROM')
        await worker.stop()
        await timers.close().finally(strikeOut)
      }
    }
    await Promise.all([redis.close(), database.close()])
  })

  it('hook one model together, and arm after one commit', async () => {
    const [redis, database] = await Promise.all([openRedis(), openDatabase()])
    const all = copies.map(([name, { orderTimers, transition }], i) => {
      const rules = {
        [name]: transition(database.Order, {
          ...DUE,
          from: [4, 6 + i],
          auto: true,
          deadline: (['confirmDueAt', 'createdAt', 'updatedAt'] as const)[i] as never,
        }),
      }
      return orderTimers({ redis: redis.url, prefix: redis.prefix, rules, logger: false })
    })
    const strikeOut = enter('timers', () => Promise.all(all.map((timers) => timers.close())))
    const dues = (id: number) => Promise.all(copies.map(async ([name]) => (await armed(redis, name, id)).due))
    const { id } = await database.Order.create({ status: 1 })
    await assert.rejects(
      database.sequelize.transaction(async (transaction) => {
        await database.Order.update({ status: 4 }, { where: { id }, transaction })
        throw new Error('undone')
      }),
    )
    assert.deepEqual(
      await dues(id),
      copies.map(() => NOT_ARMED.due),
    )
    await database.sequelize.transaction(async (transaction) => {
      await database.Order.update({ status: 4 }, { where: { id }, transaction })
      assert.deepEqual(
        await dues(id),
        copies.map(() => NOT_ARMED.due),
      )
    })
    for (const due of await dues(id)) assert.equal(typeof due, 'number')
    for (const timers of all) await timers.close()
    strikeOut()
    await Promise.all([redis.close(), database.close()])
  })
})
