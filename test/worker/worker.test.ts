// The main job, end to end: each way in which an order comes to be settled, and each in which it does not.

import assert from 'node:assert/strict'
import { orderTimers, startExpiryWorker, transition, type WorkerEvents } from '../../lib/index.js'
import { flush } from '../support/armed.js'
import { Lines } from '../support/lines.js'
import { refusal, refused } from '../support/refused.js'
import { makeTimers, openShop, type Shop, watched } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'
import { holdsFor, waitForEvent, waitUntil } from '../support/waiting.js'

describe('the worker', () => {
  let shop: Shop<OneOfEach>

  beforeEach(async () => {
    shop = await openShop(oneOfEach)
  })

  afterEach(async () => {
    assert.deepEqual(await shop.database.ledger.twice(), [])
    await shop.close()
  })

  /** A shipped order, to be confirmed after so many milliseconds. */
  const shipped = async (afterMs: number): Promise<number> => {
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id, { after: afterMs })
    return id
  }
  const is = (id: number, status: number) =>
    waitUntil(async () => (await shop.statusOf(id)) === status, { what: `order ${id} to have status ${status}` })
  const changesOf = async (id: number) => (await shop.database.ledger.changes(id)).map(({ from, to }) => [from, to])

  it('settles by the alarm, never before the deadline and in the median within a second of it', async () => {
    const worker = await shop.worker({ fallback: false })
    const ids = await Promise.all(Array.from({ length: 50 }, (_, i) => shipped(50 + 10 * i)))
    await waitUntil(() => worker.settled.length === ids.length)
    assert.deepEqual(await shop.database.ledger.early(), [])
    const lateness = await shop.database.ledger.lateness()
    assert.equal(lateness.length, 50)
    assert.ok((lateness[25] as number) < 1000, `median ${lateness[25]} ms late`)
    for (const { via, deadline, latenessMs } of worker.settled) {
      assert.equal(via, 'alarm')
      assert.ok(typeof deadline === 'number' && (latenessMs as number) >= 0)
    }
    assert.deepEqual(await shop.database.ledger.changes().then((changes) => changes.map(({ to }) => to)), Array(50).fill(5))
    assert.deepEqual(worker.health().kinds.order_confirm, {
      settled: 50,
      failed: 0,
      dead: 0,
      early: 0,
      locked: 0,
      held: 0,
      gone: 0,
      undated: 0,
      cleared: 0,
    })
  })

  it('settles on time what is due far sooner than the timer that it waits for', async () => {
    const worker = await shop.worker({ fallback: false })
    await shipped(3_600_000)
    const id = await shipped(900)
    await is(id, 5)
    const [change] = await shop.database.ledger.changes(id)
    assert.ok((change?.latenessMs as number) < 3000, `${change?.latenessMs} ms late`)
    assert.equal(worker.settled.length, 1)
  })

  it('settles by the event of a key that somebody has set by plain SETEX, under "since" and with "deadline: false"', async () => {
    const worker = await shop.worker({ fallback: false })
    const placed = await shop.database.Order.create({ status: 1, createdAt: new Date(Date.now() - 15 * 60_000 + 1_000) })
    const paid = await shop.order({ status: 2 })
    await shop.redis.client.setex(shop.key(`order_pay:${placed.id}`), 1, 'x')
    await shop.redis.client.setex(shop.key(`order_ship:${paid}`), 1, '')
    await waitUntil(() => worker.settled.length === 2)
    assert.deepEqual(worker.settled.map(({ kind, id }) => [kind, id]).sort(), [
      ['order_pay', String(placed.id)],
      ['order_ship', String(paid)],
    ])
    assert.equal(worker.settled.find(({ kind }) => kind === 'order_ship')?.via, 'event')
    assert.deepEqual([await shop.statusOf(placed.id), await shop.statusOf(paid)], [0, 0])
  })

  it('does not settle early when a key that somebody set expires, but at the deadline on the row', async () => {
    const worker = await shop.worker({ fallback: false })
    const id = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() + 700) })
    await shop.redis.client.set(shop.key(`order_confirm:${id}`), '1', 'PX', 20)
    await shop.redis.client.publish('__keyevent@0__:expired', shop.key(`order_confirm:${id}`))
    await waitUntil(() => worker.health().kinds.order_confirm?.early)
    assert.equal(await shop.statusOf(id), 4)
    await is(id, 5)
    assert.deepEqual(await shop.database.ledger.early(), [])
    assert.equal(worker.settled[0]?.via, 'alarm')
  })

  it('settles once what a hundred events announce', async () => {
    const worker = await shop.worker({ fallback: false })
    const id = await shop.order({ status: 2 })
    const key = shop.key(`order_ship:${id}`)
    await Promise.all(Array.from({ length: 100 }, () => shop.redis.client.publish('__keyevent@0__:expired', key)))
    await is(id, 0)
    await waitUntil(() => worker.health().busy === 0)
    assert.equal(worker.settled.length, 1)
    assert.deepEqual(await changesOf(id), [[2, 0]])
  })

  it('does not take for expired a key that is still there', async () => {
    const worker = await shop.worker({ fallback: false })
    const id = await shop.order({ status: 2 })
    await shop.redis.client.setex(shop.key(`order_ship:${id}`), 100, '1')
    await shop.redis.client.publish('__keyevent@0__:expired', shop.key(`order_ship:${id}`))
    const marker = await shop.order({ status: 2 })
    await shop.redis.client.publish('__keyevent@0__:expired', shop.key(`order_ship:${marker}`))
    await is(marker, 0)
    assert.deepEqual(
      worker.settled.map((order) => order.id),
      [String(marker)],
    )
  })

  it('settles by the sweep what Redis has lost', async () => {
    const worker = await shop.worker({ fallback: '* * * * * *' })
    const id = await shipped(600)
    assert.ok((await flush(shop.redis)) > 0)
    await is(id, 5)
    assert.deepEqual(await shop.database.ledger.early(), [])
    assert.equal(worker.settled.length, 1)
  })

  it('arms what the sweep finds due soon, whoever wrote the row, so that it is settled on time', async () => {
    const worker = await shop.worker({ fallback: '* * * * * *' })
    const swept = waitForEvent<WorkerEvents['swept']>(worker, 'swept', { where: ({ armed }) => armed > 0 })
    const { rows } = await shop.database.client.query(
      `INSERT INTO orders ("userId", total, status, "confirmDueAt", "createdAt", "updatedAt")
       SELECT 1, 1, 4, clock_timestamp() + interval '2500 ms', now(), now() FROM generate_series(1, 20) RETURNING id`,
    )
    await swept
    await waitUntil(() => worker.settled.length === rows.length)
    assert.deepEqual(new Set(worker.settled.map(({ via }) => via)), new Set(['alarm']))
    assert.deepEqual(await shop.database.ledger.early(), [])
  })

  it('settles when it starts what came due while it was down', async () => {
    const [scheduled, placed, paid] = [
      await shipped(1),
      await shop.order({ createdAt: new Date(Date.now() - 3_600_000) }),
      await shop.order({ status: 2 }),
    ]
    await shop.timers.schedule('order_ship', paid, { after: 1 })
    const worker = await shop.worker()
    await Promise.all([is(scheduled, 5), is(placed, 0), is(paid, 0)])
    await waitUntil(() => worker.settled.length === 3)
  })

  it('does nothing about an order that was confirmed by hand', async () => {
    const worker = await shop.worker({ fallback: false })
    const id = await shipped(1500)
    await shop.database.client.query('UPDATE orders SET status = 5 WHERE id = $1', [id])
    await waitUntil(() => worker.health().kinds.order_confirm?.gone)
    assert.deepEqual(
      (await shop.database.ledger.changes(id)).map(({ by }) => by),
      ['by hand'],
    )
    assert.equal(worker.settled.length, 0)
  })

  it('does nothing about an order that was deleted', async () => {
    const worker = await shop.worker({ fallback: false })
    const id = await shipped(1500)
    await shop.database.Order.destroy({ where: { id } })
    await waitUntil(() => worker.health().kinds.order_confirm?.gone)
    assert.deepEqual(worker.faultsTold, [])
  })

  it('settles an order that was extended at its new deadline, and not before', async () => {
    const worker = await shop.worker({ fallback: false })
    const id = await shipped(1500)
    const { deadline } = await shop.timers.extend('order_confirm', id, 400)
    await is(id, 5)
    const [change] = await shop.database.ledger.changes(id)
    assert.deepEqual(change?.deadline, deadline)
    assert.deepEqual(await shop.database.ledger.early(), [])
    assert.deepEqual([worker.health().kinds.order_confirm?.early, worker.settled.length], [0, 1])
  })

  it('does nothing about an order whose timer was cancelled', async () => {
    const worker = await shop.worker({ fallback: '* * * * * *' })
    const id = await shipped(1500)
    await shop.timers.cancel('order_confirm', id)
    const paid = await shop.order({ status: 2 })
    await shop.timers.schedule('order_ship', paid, { after: 1500 })
    await shop.timers.cancel('order_ship', paid)
    await waitForEvent(worker, 'swept')
    await holdsFor(1800, async () => (await shop.statusOf(id)) === 4 && (await shop.statusOf(paid)) === 2)
    assert.deepEqual(worker.settled, [])
  })

  it('stops once, however often it is told, and settles nothing any more', async () => {
    const worker = await shop.worker({ fallback: '* * * * * *' })
    let stopped = 0
    worker.on('stopped', () => stopped++)
    const first = worker.stop()
    assert.equal(worker.stop(), first)
    await first
    await worker.stop()
    assert.equal(stopped, 1)
    assert.equal(worker.health().status, 'stopped')
    const id = await shipped(1)
    await holdsFor(300, async () => (await shop.statusOf(id)) === 4)
    assert.equal((await shop.worker()).settled.length, 1)
  })

  it('may be stopped before it has started', async () => {
    const worker = watched(startExpiryWorker(shop.timers))
    await worker.stop()
    await worker.ready
    assert.equal(worker.health().status, 'stopped')
  })

  it('waits for running work when it is stopped', async () => {
    let release = () => {}
    const working = new Promise<void>((resolve) => {
      release = resolve
    })
    const { Order } = shop.database
    const rules = { slow: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', run: () => working }) }
    const timers = makeTimers(rules, { redis: shop.redis.url, prefix: `${shop.redis.prefix}b:` })
    const worker = watched(startExpiryWorker(timers, { fallback: false }))
    const id = await shop.order({ status: 4 })
    await timers.schedule('slow', id, { after: 1 })
    await waitUntil(() => worker.health().busy)
    let hasStopped = false
    const stopped = worker.stop().then(() => {
      hasStopped = true
    })
    await holdsFor(100, () => !hasStopped)
    release()
    await stopped
    assert.equal(await shop.statusOf(id), 5)
    await timers.close()
  })

  it('reports its health', async () => {
    const worker = await shop.worker({ fallback: '0 4 * * *' })
    await waitUntil(() => worker.health().redis?.events)
    const { status, faults, redis, sweep, busy, kinds, events } = worker.health()
    assert.deepEqual([status, faults, busy], ['ok', [], 0])
    const { externalScans: _, externalScanMs: __, ...others } = redis ?? {}
    assert.deepEqual(others, { connected: true, subscribed: true, events: true })
    assert.ok(sweep.lastEndedAt instanceof Date && Date.now() - sweep.lastEndedAt.getTime() < 5000)
    assert.equal(sweep.next?.toISOString().slice(10), 'T04:00:00.000Z')
    assert.deepEqual(Object.keys(kinds), ['order_confirm', 'order_pay', 'order_ship', 'order_other'])
    assert.deepEqual(kinds.order_pay, { settled: 0, failed: 0, dead: 0, early: 0, locked: 0, held: 0, gone: 0, undated: 0, cleared: 0 })
    assert.deepEqual(Object.keys(events), ['external', 'malformed', 'dropped'])
    assert.doesNotThrow(() => JSON.stringify(worker.health()))
  })

  it('sweeps by the time of the zone that it was given, and by no schedule where it was given none', async () => {
    const taipei = await shop.worker({ fallback: { cron: '30 4 * * *', timezone: 'Asia/Taipei' } })
    assert.equal(taipei.health().sweep.next?.toISOString().slice(10), 'T20:30:00.000Z')
    const never = await shop.worker({ fallback: false })
    assert.equal(never.health().sweep.next, null)
    const byDefault = await shop.worker()
    assert.match(byDefault.health().sweep.next?.toISOString() as string, /:00\.000Z$/)
  })

  it('tells typed events, none of them called "error"', async () => {
    const worker = watched(startExpiryWorker(shop.timers))
    const swept = waitForEvent<WorkerEvents['swept']>(worker, 'swept')
    worker.on('settled', ({ kind, via, orders }) => {
      const typed: [string, 'alarm' | 'event' | 'sweep', string[]] = [kind, via, orders.map(({ id }) => id)]
      return typed
    })
    // @ts-expect-error there is no such event
    worker.on('error', () => {})
    const [{ overdue, armed, durationMs }] = await swept
    assert.deepEqual([overdue, armed, typeof durationMs], [0, 0, 'number'])
    await worker.stop()
  })

  it('goes on although a listener throws, and logs it', async () => {
    const lines = new Lines()
    const timers = makeTimers(oneOfEach(shop.database), { redis: shop.redis.url, prefix: shop.redis.prefix, logger: lines })
    const worker = watched(startExpiryWorker(timers, { fallback: false }))
    worker.on('settled', () => {
      throw new Error('the listener is broken')
    })
    const [first, second] = [await shipped(10), await shipped(150)]
    await Promise.all([is(first, 5), is(second, 5)])
    await worker.stop()
    await timers.close()
    const told = lines.all.filter(({ level }) => level === 'error')
    assert.ok(told.length >= 1)
    for (const line of told) {
      assert.deepEqual(line, {
        level: 'error',
        message: 'a listener of "settled" threw',
        fields: { code: 'LISTENER_THREW', event: 'settled', error: 'the listener is broken' },
      })
    }
  })

  it('goes on although the logger throws', async () => {
    const throws = () => {
      throw new Error('disk full')
    }
    const logger = { debug: throws, info: throws, warn: throws, error: throws }
    const timers = makeTimers(oneOfEach(shop.database), { redis: shop.redis.url, prefix: shop.redis.prefix, logger })
    const worker = watched(startExpiryWorker(timers))
    await is(await shipped(10), 5)
    await worker.stop()
    await timers.close()
  })

  it('started twice in one process settles once', async () => {
    const [first, second] = [await shop.worker(), await shop.worker()]
    const ids = await Promise.all(Array.from({ length: 20 }, () => shipped(100)))
    await waitUntil(() => first.settled.length + second.settled.length === ids.length)
    assert.deepEqual(
      [...first.settled, ...second.settled].map(({ id }) => Number(id)).sort((a, b) => a - b),
      ids.sort((a, b) => a - b),
    )
  })

  it('leaves kinds alone that it has no rule for', async () => {
    const { order_confirm } = oneOfEach(shop.database)
    const others = makeTimers({ order_confirm }, { redis: shop.redis.url, prefix: shop.redis.prefix })
    const worker = watched(startExpiryWorker(others))
    await worker.ready
    await shop.timers.schedule('order_other', 34, { after: 1 })
    const id = await shipped(50)
    await is(id, 5)
    assert.ok((await shop.timers.remaining('order_other', 34)) === 0)
    await worker.stop()
    await others.close()
  })
})

describe('startExpiryWorker(timers, options)', () => {
  const timers = orderTimers({ logger: false, rules: { order_other: () => {} }, redis: false, enabled: false })
  const started = (options: unknown) => refused(() => startExpiryWorker(timers, options as never))
  const invalid = (message: string) => refusal('INVALID_OPTION', 500, `startExpiryWorker: ${message}`)

  it('refuses a misspelt option', async () => {
    const message = 'unknown option "fallBack"; the options are fallback, concurrency, catchUp, configureRedis, lease, idle'
    assert.deepEqual(await started({ fallBack: false }), invalid(message))
    const inFallback = 'startExpiryWorker: "fallback": unknown option "timeZone"; the options are cron, timezone'
    assert.deepEqual(await started({ fallback: { cron: '* * * * *', timeZone: 'UTC' } }), refusal('INVALID_OPTION', 500, inFallback))
    assert.deepEqual(await started(null), invalid('the options must be an object, got null'))
  })

  it('refuses a schedule that is none', async () => {
    const shape = `"fallback" must be a cron expression such as '* * * * *', { cron, timezone } or false, got `
    assert.deepEqual(await started({ fallback: true }), invalid(`${shape}true`))
    assert.deepEqual(await started({ fallback: 60 }), invalid(`${shape}60`))
    assert.deepEqual(await started({ fallback: null }), invalid(`${shape}null`))
    assert.deepEqual(await started({ fallback: {} }), invalid(`${shape}{}`))
    for (const cron of ['every minute', '* * * *', '61 * * * *', '* * * * * * *', '']) {
      const { code, message } = await started({ fallback: cron })
      assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_OPTION')
      assert.ok(message.startsWith(`startExpiryWorker: ${shape}${JSON.stringify(cron)} (`), message)
    }
    const timezone = `"fallback.timezone" must be an IANA time zone such as 'UTC' or 'Asia/Taipei', got "Mars/Olympus"`
    assert.deepEqual(await started({ fallback: { cron: '* * * * *', timezone: 'Mars/Olympus' } }), invalid(timezone))
  })

  it('refuses other values of "concurrency", "catchUp", "configureRedis" and "lease"', async () => {
    for (const [value, shown] of [
      [0, '0'],
      [1.5, '1.5'],
      [Number.NaN, 'NaN'],
      ['0.5', '"0.5"'],
    ] as const) {
      assert.deepEqual(await started({ catchUp: value }), invalid(`"catchUp" must be a number more than 0 and at most 1, got ${shown}`))
    }
    for (const [value, shown] of [
      [0, '0'],
      [1.5, '1.5'],
      [101, '101'],
      ['2', '"2"'],
    ] as const) {
      assert.deepEqual(await started({ concurrency: value }), invalid(`"concurrency" must be a whole number from 1 to 100, got ${shown}`))
    }
    assert.deepEqual(await started({ configureRedis: 'Ex' }), invalid('"configureRedis" must be true or false, got "Ex"'))
    for (const lease of [500, '500ms', '2h', 'long']) {
      const bounds = `of 1s at least and 1h at most, got ${typeof lease === 'number' ? lease : `"${lease}"`}`
      const message = `startExpiryWorker: "lease" must be a duration such as '24h' or a positive whole number of milliseconds, ${bounds}`
      assert.deepEqual(await started({ lease }), refusal('INVALID_DURATION', 400, message))
    }
  })
})
