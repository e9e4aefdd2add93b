import assert from 'node:assert/strict'
import { doctor } from '../../lib/admin/doctor/doctor.js'
import { viewOrder } from '../../lib/admin/order-view.js'
import { status } from '../../lib/admin/status.js'
import { json } from '../../lib/cli/command.js'
import { doctorText } from '../../lib/cli/doctor-text.js'
import { statusText } from '../../lib/cli/status-text.js'
import { transition } from '../../lib/index.js'
import { Brake } from '../../lib/rows/brake.js'
import { sequelizeOn } from '../support/database.js'
import { freePort } from '../support/free-port.js'
import { defineOrder } from '../support/order.js'
import { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { shiftClock } from '../support/shifted-clock.js'
import { makeTimers, openShop } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'

const DAY_MS = 86_400_000

describe('the status', () => {
  it('has for each rule what the rows and Redis hold', async () => {
    const shop = await openShop(oneOfEach)
    const at = (ms: number) => ({ status: 4, confirmDueAt: new Date(Date.now() + ms) })
    await shop.database.Order.bulkCreate([at(-60_000), at(-8 * DAY_MS), at(600_000), at(DAY_MS), at(3 * DAY_MS), { status: 4 }])
    await shop.timers.schedule('order_confirm', 3, { after: '10m' })
    await shop.timers.schedule('order_other', 7, { after: '10m' })
    const { enabled, postgres, redis, rules } = await status(runtimeOf(shop.timers))
    assert.deepEqual({ enabled, postgres }, { enabled: true, postgres: { answering: true, problem: undefined } })
    assert.deepEqual([redis.used, redis.answering, redis.publishesExpiry, redis.problem], [true, true, true, undefined])
    const nothing = { brakedSince: null, problem: undefined }
    const counts = { overdue: 0, retrying: 0, locked: 0, dead: 0, stale: 0, held: 0, unverified: 0, undated: 0, paused: 0 }
    const none = { pending: 0, ...counts, oldestOverdue: null, withinHour: 0 }
    const overdue = await shop.database.Order.findByPk(1, { rejectOnEmpty: true })
    const figures = rules.map(({ kind, form, rows, armed, dead, brakedSince, problem }) => ({
      ...{ kind, form, rows, armed, dead },
      ...{ brakedSince, problem },
    }))
    assert.deepEqual(figures, [
      {
        kind: 'order_confirm',
        form: 'deadline',
        rows: { ...none, pending: 3, withinHour: 1, overdue: 1, stale: 1, undated: 1, oldestOverdue: overdue.confirmDueAt },
        armed: 1,
        dead: 0,
        ...nothing,
      },
      {
        kind: 'order_pay',
        form: 'since',
        rows: none,
        armed: 0,
        dead: 0,
        ...nothing,
      },
      { kind: 'order_ship', form: 'redis', rows: undefined, armed: 0, dead: 0, ...nothing },
      { kind: 'order_other', form: 'handler', rows: undefined, armed: 1, dead: 0, ...nothing },
    ])
    await shop.close()
  })

  it('says that all is well with a worker that has nothing to do, and that none is alive once it has ended', async () => {
    const shop = await openShop(oneOfEach)
    const worker = await shop.worker()
    const runtime = runtimeOf(shop.timers)
    await waitUntil(async () => (await status(runtime)).processes.processes.length === 1)
    const { ok, headline, troubles, rules } = await status(runtime)
    assert.deepEqual([ok, headline, troubles], [true, '✔ ALL IS WELL: 1 worker, 0 timers pending, 0 overdue', []])
    assert.ok((rules[0]?.readAgoMs ?? -1) >= 0, 'when the worker read what is overdue')
    const scanned = await waitUntil(async () => {
      const found = await status(runtime)
      return found.processes.processes[0]?.scanMs === undefined ? undefined : found
    })
    assert.match(statusText(scanned), /\nScan: a pass over the keys, which finds those that other services set, takes \d+ (?:ms|s)\n/)
    await worker.stop()
    const none = await status(runtime)
    assert.equal(none.ok, false)
    assert.match(statusText(none), /\nScan: no worker has completed a pass over the keys, /)
    assert.match(
      none.headline,
      /^✘ NO WORKER ALIVE: none has been seen, and nothing is settled → start a worker that uses Redis at \S+ db \d+ /,
    )
    await shop.close()
  })

  it('counts dead letters, and says since when a brake has stopped a rule', async () => {
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', brake: { max: 1, per: '1h' } }),
      order_pay: transition(Order, {
        from: 1,
        to: 0,
        since: 'createdAt',
        after: '15m',
        attempts: 1,
        run: () => {
          throw new Error('no')
        },
      }),
    }))
    for (const sql of Brake.createSql('order_timers_brakes')) await shop.database.client.query(sql)
    const due = new Date(Date.now() - 60_000)
    await shop.database.Order.bulkCreate([
      { status: 4, confirmDueAt: due },
      { status: 4, confirmDueAt: due },
      { status: 1, createdAt: new Date(Date.now() - DAY_MS) },
    ])
    const worker = await shop.worker()
    if (worker.deadTold.length === 0) await waitForEvent(worker, 'dead')
    await worker.stop()
    const { rules } = await status(runtimeOf(shop.timers))
    const { rows } = await shop.database.client.query("SELECT braked_at FROM order_timers_brakes WHERE kind = 'order_confirm'")
    assert.deepEqual(rules[0]?.brakedSince, rows[0].braked_at)
    assert.deepEqual([rules[0]?.dead, rules[1]?.dead], [0, 1])
    await shop.close()
  })

  it('says what Redis is set to, and that it publishes no expiry', async () => {
    const server = await RedisServer.start(['--notify-keyspace-events', 'Kg'])
    const shop = await openShop(oneOfEach, { redis: server.url })
    const { redis, troubles } = await status(runtimeOf(shop.timers))
    assert.deepEqual([redis.answering, [...(redis.notifications ?? '')].sort().join(''), redis.publishesExpiry], [true, 'Kg', false])
    const off = troubles.find(({ code }) => code === 'EVENTS_OFF')
    assert.equal(off?.level, 'degraded')
    assert.equal(off?.remedy, `CONFIG SET notify-keyspace-events ${redis.notifications}Ex, and in redis.conf too`) // CONFIG SET replaces all flags
    await shop.close()
    await server.stop()
  })

  it('measures how long orders are overdue by the clock by which they are due, and not by that of its own host', async () => {
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
      order_other: () => {},
    }))
    const dueAt = Date.now() - 600_000
    await shop.order({ status: 4, confirmDueAt: new Date(dueAt) })
    await waitUntil(() => shop.timers.schedule('order_other', '1', { after: '1h' }))
    await shop.redis.client.zadd(runtimeOf(shop.timers).keys.sets('order_other').due, dueAt, '1')
    shiftClock(-3_600_000)
    try {
      const { ok, troubles } = await status(runtimeOf(shop.timers))
      const overdue = troubles.filter(({ code }) => code === 'OVERDUE').map(({ message }) => message)
      assert.equal(ok, false)
      assert.deepEqual(overdue, [
        'order_confirm: 1 order is overdue without a known reason, the oldest for 10 min',
        'order_other: 1 order is overdue without a known reason, the oldest for 10 min',
      ])
    } finally {
      shiftClock(0)
    }
    await shop.close()
  })

  it('separates pending timers that are only in Redis from overdue ones, which are a problem', async () => {
    const shop = await openShop(({ Order }) => ({
      order_other: () => {},
      order_ship: transition(Order, { from: 2, to: 0, deadline: false, after: '24h' }),
    }))
    for (const id of ['1', '2', '3']) await shop.timers.schedule('order_other', id, { after: id === '3' ? '1h' : 1 })
    await shop.redis.client.zadd(runtimeOf(shop.timers).keys.sets('order_other').due, Date.now() - 600_000, '1')
    const { ok, rules, troubles } = await status(runtimeOf(shop.timers))
    const { inRedis, next } = rules[0] ?? {}
    assert.deepEqual([inRedis?.pending, inRedis?.overdue, rules[1]?.inRedis?.overdue], [1, 2, 0])
    assert.ok(Date.now() - (inRedis?.oldestOverdue?.getTime() ?? 0) >= 600_000 && (next?.getTime() ?? 0) > Date.now())
    const overdue = troubles.find(({ code }) => code === 'OVERDUE')
    assert.deepEqual([ok, overdue?.level, overdue?.kind], [false, 'failing', 'order_other'])
    assert.match(overdue?.message ?? '', /^order_other: 2 orders are overdue without a known reason, the oldest for 10 min$/)
    const { rules: shown } = await viewOrder(runtimeOf(shop.timers), '1', 'order_other')
    assert.match(shown[0]?.next ?? '', /^nothing: it was due at \S+Z, and no worker has taken it; but no worker is alive$/)
    await shop.close()
  })

  it('prints what others wrote without control codes of terminals, and each trouble in one line', async () => {
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
    }))
    const failure = { attempts: 1, error: 'no \u001b[2J\u009b2J\n✔ ALL IS WELL', at: new Date().toISOString(), dead: false }
    const runtime = runtimeOf(shop.timers)
    await shop.redis.client.hset(runtime.keys.sets('order_confirm').failures, '7', JSON.stringify(failure))
    const found = await status(runtime)
    const lines = statusText(found).split('\n')
    assert.match(lines.find((line) => line.includes('RULE FAILED')) ?? '', /7 1 times so far: no {2}\[2J 2J ✔ ALL IS WELL → remove/)
    assert.equal(lines.indexOf(''), found.troubles.length, lines.join('\n'))
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    const codes = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/
    for (const text of [lines.join('\n'), json(found), doctorText(await doctor(runtime))]) assert.doesNotMatch(text, codes)
    assert.deepEqual(JSON.parse(json(failure)), failure)
    await shop.close()
  })

  it('says that Redis does not answer, and what the rows say all the same', async () => {
    const shop = await openShop(oneOfEach, { redis: `redis://127.0.0.1:${await freePort()}` })
    await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - 60_000) })
    const { ok, redis, rules } = await status(runtimeOf(shop.timers))
    assert.deepEqual([ok, redis.used, redis.answering], [false, true, false])
    assert.match(redis.problem as string, /^orderTimers: Redis at 127\.0\.0\.1:\d+ db 0 does not answer \(ECONNREFUSED\)/)
    assert.deepEqual([rules[0]?.rows?.overdue, rules[0]?.armed, rules[0]?.dead], [1, undefined, undefined])
    await shop.close()
  })

  it('says that Postgres does not answer, and what Redis holds all the same', async () => {
    const shop = await openShop(oneOfEach)
    const port = await freePort()
    const away = sequelizeOn(`postgres://postgres@127.0.0.1:${port}/postgres`, 'public')
    const timers = makeTimers(oneOfEach({ Order: defineOrder(away) }), { redis: shop.redis.url, prefix: shop.redis.prefix })
    const { ok, headline, postgres, rules } = await status(runtimeOf(timers))
    assert.deepEqual([ok, postgres.answering], [false, false])
    assert.match(headline, /^✘ POSTGRES UNAVAILABLE: Postgres does not answer/)
    assert.equal(
      postgres.problem,
      `Postgres does not answer (connect ECONNREFUSED 127.0.0.1:${port}); check that it runs and can be reached, and that user, password and database are right`,
    )
    assert.deepEqual([rules[0]?.rows, rules[0]?.armed, rules[0]?.problem], [undefined, 0, undefined]) // it is said once
    await timers.close()
    await away.close()
    await shop.close()
  })

  it('says what the table lacks', async () => {
    const shop = await openShop(oneOfEach, { redis: false })
    await shop.database.client.query('ALTER TABLE orders DROP COLUMN "confirmDueAt" CASCADE')
    const { ok, redis, rules, headline } = await status(runtimeOf(shop.timers))
    assert.deepEqual([ok, redis.used], [false, false])
    assert.match(rules[0]?.problem as string, /has no column "confirmDueAt"; add it with ALTER TABLE/)
    assert.match(headline, /^✘ INVALID MODEL: order_confirm: .*has no column "confirmDueAt"; add it with ALTER TABLE/)
    assert.equal(rules[1]?.problem, undefined)
    await shop.close()
  })
})
