// What /ready and /live say of real trouble: of a worker's process and of a web process's. Servers of the tests' own, since they are stopped.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import express from 'express'
import request from 'supertest'
import { type OrderTimersHealth, orderTimersHealth } from '../../lib/health.js'
import { transition } from '../../lib/index.js'
import { HOLDS_TABLE, Holds } from '../../lib/rows/holds.js'
import { bury } from '../support/dead-letters.js'
import { Lines } from '../support/lines.js'
import { PostgresServer } from '../support/postgres-server.js'
import { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop, type ShopOptions } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const express4 = createRequire(import.meta.url)('express4') as typeof express

type Rules = ReturnType<typeof rules>
const rules = ({ Order }: Parameters<Parameters<typeof openShop>[0]>[0]) => ({
  order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', attempts: 1 }),
  order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
})

/** Where nothing is wrong. */
const OK = { overdue: 'ok', lateness: 'ok', sweep: 'ok', postgres: 'ok', redis: 'ok', clocks: 'ok', dead: 'ok', faults: 'ok' }

const states = async (health: OrderTimersHealth) => {
  const { status, checks } = await health.ready()
  return { status, checks: Object.fromEntries(Object.entries(checks).map(([name, { state }]) => [name, state])) }
}

/** Waits until /ready says this; it looks once a second. */
const says = (health: OrderTimersHealth, status: string, not: object = {}, within = 20_000) =>
  waitUntil(async () => JSON.stringify(await states(health)) === JSON.stringify({ status, checks: { ...OK, ...not } }), {
    within,
    every: 250,
    what: `/ready to be ${status} ${JSON.stringify(not)}`,
  }).catch(async (error) => assert.fail(`${error.message}\n${JSON.stringify(await health.ready(), null, 1)}`))

const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000)

describe('health', function () {
  this.timeout(120_000)
  const shops: Shop<Rules>[] = []
  const open = async (options: ShopOptions = {}) => {
    const shop = await openShop(rules, options)
    shops.push(shop)
    runtimeOf(shop.timers).beats?.onlyLook() // that no worker is alive is another test's
    return { shop, health: orderTimersHealth(shop.timers) }
  }
  afterEach(() => Promise.all(shops.splice(0).map((shop) => shop.close())))

  it('is ok where orders are settled, and answers probes on Express 4 and 5 and without Express', async () => {
    const { shop } = await open()
    await shop.worker()
    const health = orderTimersHealth(shop.timers, { authorize: (req) => req.headers['x-operator'] === 'yes' })
    await waitUntil(async () => (await health.ready()).status === 'ok', { every: 250 })
    for (const app of [express(), express4()]) {
      app.use('/health', health)
      const ready = await request(app).get('/health/ready').expect(200)
      assert.equal(ready.body.role, 'worker')
      assert.deepEqual(Object.keys(ready.body.checks), Object.keys(OK))
      assert.equal(ready.headers['cache-control'], 'no-store')
      assert.deepEqual((await request(app).get('/health/live').expect(200)).body, { status: 'ok', silent: [] })
      await request(app).head('/health/ready').expect(200)
      await request(app).post('/health/ready').expect(404)
      await request(app).get('/health').expect(404)
    }
    const server: Server = createServer(health).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    assert.equal((await fetch(`http://127.0.0.1:${port}/live`)).status, 200)
    assert.equal((await fetch(`http://127.0.0.1:${port}/other`)).status, 404)
    await new Promise((resolve) => server.close(resolve))
  })

  it('shows hosts and messages only to those that may see them, and asks servers at most once a second', async () => {
    const { shop } = await open()
    const asked: string[] = []
    const logging = (sql: string) => void (/overdue/.test(sql) && asked.push(sql))
    Object.assign((shop.database.sequelize as unknown as { options: object }).options, { logging })
    const app = express()
    app.use('/open', orderTimersHealth(shop.timers))
    app.use('/odd', orderTimersHealth(shop.timers, { authorize: () => 'yes' as never }))
    app.use('/throwing', orderTimersHealth(shop.timers, { authorize: () => Promise.reject(new Error('no')) }))
    app.use('/full', orderTimersHealth(shop.timers, { authorize: async () => true }))
    runtimeOf(shop.timers).beats!.suspicions.faults.raise('NO_WORKER', { message: 'at host-1' })
    for (const [path, isShown] of Object.entries({ '/open': false, '/odd': false, '/throwing': false, '/full': true })) {
      const { body } = await request(app).get(`${path}/ready`).expect(200)
      assert.deepEqual(body.checks.faults.codes, ['NO_WORKER'])
      assert.equal('details' in body.checks.faults, isShown, path)
      assert.equal(JSON.stringify(body).includes('host-1'), isShown, path)
    }
    const health = orderTimersHealth(shop.timers)
    await health.ready()
    const before = asked.length
    await Promise.all(Array.from({ length: 20 }, () => health.ready()))
    assert.equal(asked.length, before)
    assert.ok(before > 0)
  })

  it('is answered without details where "authorize" does not answer, or throws, and the log says so', async () => {
    const log = new Lines()
    const { shop } = await open({ logger: log })
    runtimeOf(shop.timers).beats!.suspicions.faults.raise('NO_WORKER', { message: 'at host-1' })
    const authorizes = { '/never': () => new Promise<boolean>(() => {}), '/throwing': () => Promise.reject(new Error('no session')) }
    const app = express()
    for (const [path, authorize] of Object.entries(authorizes)) app.use(path, orderTimersHealth(shop.timers, { authorize }))
    for (const path of Object.keys(authorizes)) {
      const { body } = await request(app).get(`${path}/ready`).expect(200)
      assert.deepEqual([body.checks.faults.codes, 'details' in body.checks.faults], [['NO_WORKER'], false], path)
    }
    assert.deepEqual(
      log.all.filter(({ fields }) => fields.code === 'HEALTH_AUTHORIZE').map(({ message }) => message),
      ['did not answer in 1000 ms', 'threw (no session)'].map(
        (what) => `orderTimersHealth: "authorize" ${what}; /ready was answered without details`,
      ),
    )
  })

  it('of a web process reports what nobody settles, by how much, and not what has a known reason', async () => {
    const { shop, health } = await open()
    const runtime = runtimeOf(shop.timers)
    await says(health, 'ok')

    const locked = await shop.order({ status: 4, confirmDueAt: ago(300) })
    const dead = await shop.order({ status: 4, confirmDueAt: ago(300) })
    await shop.order({ status: 4, confirmDueAt: ago(8 * 86_400) }) // stale
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query('UPDATE orders SET note = $1 WHERE id = $2', ['held', locked])
    await bury(shop.redis.client, runtime.keys.sets('order_confirm').failures, [dead])
    await says(health, 'degraded', { dead: 'degraded' })
    assert.deepEqual((await health.ready()).checks.dead, {
      ...{ state: 'degraded', reading: 'degraded', kind: 'order_confirm', degradedAbove: 0, codes: ['DEAD_LETTERS'], value: 1 },
    })

    const order = await shop.order({ status: 4, confirmDueAt: ago(20) })
    await says(health, 'degraded', { overdue: 'degraded', dead: 'degraded' })
    await shop.database.Order.update({ confirmDueAt: ago(100) }, { where: { id: order } })
    await says(health, 'failing', { overdue: 'failing', dead: 'degraded' })
    const { overdue } = (await health.ready()).checks
    assert.deepEqual([overdue?.kind, overdue?.degradedAbove, overdue?.failingAbove], ['order_confirm', 5, 90])
    assert.ok((overdue?.value ?? 0) > 100 && (overdue?.value ?? 0) < 200, `${overdue?.value}`)
    const app = express().use(health)
    await request(app).get('/ready').expect(503)

    // Nobody had asked for a while: a single question gets the truth, and no state from before.
    const other = orderTimersHealth(shop.timers)
    assert.equal((await other.ready()).status, 'failing')

    await shop.database.Order.update({ status: 5 }, { where: { id: order } })
    const { failures } = runtime.keys.sets('order_confirm')
    await shop.redis.client.del(failures, `${failures}:dead`)
    await shop.database.Order.update({ status: 5 }, { where: { id: dead } })
    await holder.query('ROLLBACK')
    await shop.database.Order.update({ status: 5 }, { where: { id: locked } })
    await says(health, 'ok')
  })

  it('does not report a rule as well that it did not reach, nor Postgres as silent if it answers', async () => {
    const kinds = Array.from({ length: 12 }, (_, i) => `order_${i}`)
    const shop = await openShop(({ Order }) =>
      Object.fromEntries(kinds.map((kind) => [kind, transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' })])),
    )
    shops.push(shop as never)
    runtimeOf(shop.timers).beats?.onlyLook()
    const health = orderTimersHealth(shop.timers)
    await says(health, 'ok')
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query('LOCK TABLE orders')
    const { checks } = await orderTimersHealth(shop.timers).ready() // has looked at none before
    assert.deepEqual([checks.postgres?.state, checks.overdue?.state], ['ok', 'degraded'])
    assert.deepEqual(checks.overdue?.codes, ['UNREADABLE', 'NOT_LOOKED_AT'])
    const all = await waitUntil(async () => {
      const { overdue, postgres } = (await health.ready()).checks
      assert.equal(postgres?.reading, 'ok')
      return overdue?.details?.length === kinds.length && overdue.codes?.join() === 'UNREADABLE' ? overdue : undefined
    })
    assert.equal(all.state, 'degraded')
    await holder.query('ROLLBACK')
    await says(health, 'ok')
  })

  it('sees overdue timers of a rule that has no rows', async () => {
    const shop = await openShop(() => ({ order_other: () => {} }))
    shops.push(shop as never)
    const runtime = runtimeOf(shop.timers)
    runtime.beats?.onlyLook()
    const health = orderTimersHealth(shop.timers)
    await says(health, 'ok')
    const { due } = runtime.keys.sets('order_other')
    await shop.redis.client.zadd(due, Date.now() - 20_000, '34')
    await says(health, 'degraded', { overdue: 'degraded' })
    assert.equal((await health.ready()).checks.overdue?.kind, 'order_other')
    await shop.redis.client.zadd(due, Date.now() - 100_000, '34')
    await says(health, 'failing', { overdue: 'failing' })
    await shop.worker()
    await says(health, 'ok')
  })

  it('sees no overdue timers of a rule that is held, also if its deadlines are only in Redis', async () => {
    const shop = await openShop(({ Order }) => ({ order_ship: transition(Order, { from: 2, to: 0, deadline: false, after: '24h' }) }))
    shops.push(shop as never)
    const runtime = runtimeOf(shop.timers)
    runtime.beats?.onlyLook()
    for (const sql of Holds.createSql(HOLDS_TABLE)) await shop.database.client.query(sql)
    const health = orderTimersHealth(shop.timers)
    await shop.redis.client.zadd(runtime.keys.sets('order_ship').due, Date.now() - 100_000, '34')
    await says(health, 'failing', { overdue: 'failing' })
    await shop.timers.hold('order_ship', { reason: 'the carrier is down' })
    await says(health, 'ok')
    await shop.timers.release('order_ship')
    await says(health, 'failing', { overdue: 'failing' })
  })

  it('is degraded while Redis is down, and never failing only because of that', async () => {
    const server = await RedisServer.start()
    const { shop, health } = await open({ redis: server.url, redisUrl: server.url })
    await shop.worker()
    await waitUntil(async () => (await health.ready()).status === 'ok', { every: 250 })
    await server.kill()
    await says(health, 'degraded', { redis: 'degraded' })
    const { redis, dead } = (await health.ready()).checks
    assert.deepEqual(redis?.codes, ['REDIS_UNAVAILABLE'])
    assert.ok((dead?.age ?? 0) > 1, `the dead letters were counted ${dead?.age} s ago`)
    await server.restart()
    await says(health, 'ok')
    await shop.close()
    shops.pop()
    await server.stop()
  })

  it('is degraded by one failed question to Postgres, and failing after half a minute', async () => {
    const server = await PostgresServer.start()
    const { shop, health } = await open({ database: { url: server.url } })
    await says(health, 'ok')
    await server.crash()
    const downAt = performance.now()
    await says(health, 'degraded', { postgres: 'degraded' }, 5_000)
    await says(health, 'failing', { postgres: 'failing' }, 60_000)
    assert.ok(performance.now() - downAt > 29_000)
    assert.equal(health.live().status, 'ok')
    await server.restart()
    await says(health, 'ok')
    await shop.close()
    shops.pop()
    await server.stop()
  })

  it('does not wait for a silent Postgres, and sends it nothing more meanwhile', async () => {
    const server = await PostgresServer.start()
    const { shop, health } = await open({ database: { url: server.url } })
    await says(health, 'ok')
    await server.pause()
    const startedAt = performance.now()
    await says(health, 'degraded', { postgres: 'degraded' }, 10_000)
    assert.ok(performance.now() - startedAt < 12_000)
    await server.resume()
    await says(health, 'ok')
    await shop.close()
    shops.pop()
    await server.stop()
  })

  it('is no alarm while a backlog is being settled', async () => {
    const { shop, health } = await open()
    const rows = Array.from({ length: 400 }, () => ({ status: 4, confirmDueAt: ago(3_600) }))
    await shop.database.Order.bulkCreate(rows)
    assert.equal((await health.ready()).status, 'failing') // nobody settles them
    await shop.worker()
    await says(health, 'ok')
  })

  it('is off where the timers are switched off, and refuses options that it does not have', async () => {
    const { shop, health } = await open({ enabled: false })
    assert.deepEqual(await health.ready(), { status: 'off', role: 'web', checks: {} })
    assert.throws(() => orderTimersHealth(express()), { code: 'ERR_ORDER_TIMERS_NOT_MOUNTED' })
    assert.throws(() => orderTimersHealth(shop.timers, { authorise: () => true } as never), {
      code: 'ERR_ORDER_TIMERS_INVALID_OPTION',
    })
    assert.throws(() => orderTimersHealth(shop.timers, { authorize: 'x' } as never), { code: 'ERR_ORDER_TIMERS_INVALID_OPTION' })
  })
})
