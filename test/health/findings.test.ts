import assert from 'node:assert/strict'
import { Sequelize } from 'sequelize'
import { Look } from '../../lib/health/findings.js'
import type { PostgresReading } from '../../lib/health/postgres.js'
import type { RedisReading } from '../../lib/health/redis.js'
import { transition } from '../../lib/index.js'
import { defineOrder } from '../support/order.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers } from '../support/shop.js'

const overdue = (kind: string, count: number) => ({ kind, count, ageMs: 600_000, agoMs: 0 })
const READ: PostgresReading = { trouble: undefined, skewMs: 0, overdue: [], unread: [], notLookedAt: [] }
const ANSWERED: RedisReading = { answers: true, readAgoMs: new Map(), dead: undefined, overdue: [], lateness: new Map() }

/** What servers say is given: none can be made to come to some rules in time and not to others. */
function lookAt(readings: { postgres?: Partial<PostgresReading>; redis?: Partial<RedisReading> }[]): () => ReturnType<Look['take']> {
  const Order = defineOrder(new Sequelize('postgres://127.0.0.1:1/none', { logging: false }))
  const rules = {
    order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
    order_other: async () => {},
  }
  const timers = makeTimers(rules, { redis: 'redis://127.0.0.1:1' })
  const look = new Look(runtimeOf(timers))
  let [postgres, redis] = [READ, ANSWERED]
  Object.assign(look, { postgres: { read: async () => postgres }, redis: { read: async () => redis } })
  const given = [...readings]
  return async () => {
    const next = given.shift()
    postgres = { ...READ, ...next?.postgres }
    redis = { ...ANSWERED, ...next?.redis }
    if (given.length === 0) await timers.close()
    return look.take()
  }
}

describe('what a check of readiness finds', () => {
  it('keeps the known backlog on rows while a reading does not reach the rule, or cannot read it', async () => {
    for (const between of [{ notLookedAt: ['order_pay'] }, { unread: [{ kind: 'order_pay', why: 'a test' }] }, { trouble: 'a test' }]) {
      const take = lookAt([
        { postgres: { overdue: [overdue('order_pay', 900)] } },
        { postgres: between },
        { postgres: { overdue: [overdue('order_pay', 800)] } },
      ])
      await take()
      await take()
      assert.equal((await take()).shrinks(overdue('order_pay', 800)), true, JSON.stringify(between))
    }
  })

  it('keeps the known backlog of timers that are only in Redis while Redis does not answer', async () => {
    const take = lookAt([
      { redis: { overdue: [overdue('order_other', 900)] } },
      { redis: { overdue: undefined } },
      { redis: { overdue: [overdue('order_other', 800)] } },
    ])
    await take()
    await take()
    assert.equal((await take()).shrinks(overdue('order_other', 800)), true)
  })

  it('forgets a backlog that a reading no longer finds', async () => {
    const take = lookAt([
      { postgres: { overdue: [overdue('order_pay', 900)] } },
      { postgres: { overdue: [] } },
      { postgres: { overdue: [overdue('order_pay', 800)] } },
    ])
    await take()
    await take()
    assert.equal((await take()).shrinks(overdue('order_pay', 800)), false)
  })
})
