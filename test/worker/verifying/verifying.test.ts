import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { act } from '../../../lib/admin/actions/act.js'
import { viewOrder } from '../../../lib/admin/order-view.js'
import { plan as planOf } from '../../../lib/admin/plan.js'
import { ruleStatus } from '../../../lib/admin/rule-status.js'
import { sweepOnce } from '../../../lib/admin/sweep-once.js'
import { type Rules, startExpiryWorker, transition, type WorkerOptions } from '../../../lib/index.js'
import { ACTIONS_TABLE, ActionsTable } from '../../../lib/rows/actions-table.js'
import { HISTORY_TABLE, VERIFIED_COLUMN } from '../../../lib/rows/history.js'
import { HOLDS_TABLE, Holds } from '../../../lib/rows/holds.js'
import { UNVERIFIED_TABLE, Unverified } from '../../../lib/rows/unverified.js'
import { expire } from '../../../lib/testing.js'
import { defineParcel, EVERY_SECOND, openParcels, type Parcel, type ParcelShop, type Parcels } from '../../life/parcels.js'
import { runtimeOf } from '../../support/runtime.js'
import { makeTimers, watched } from '../../support/shop.js'
import { holdsFor, waitForEvent, waitUntil } from '../../support/waiting.js'

type Answers = (ids: string[], context: { signal: AbortSignal; idempotencyKeys: string[] }) => unknown

/** What the payment service is asked, call by call. */
class Service {
  readonly calls: string[][] = []
  readonly keys: string[] = []
  inside = 0
  mostInside = 0

  constructor(public answers: Answers = (ids) => ids.map(() => true)) {}

  readonly ask = async (orders: Parcel[], context: { signal: AbortSignal; idempotencyKeys: string[] }): Promise<never> => {
    const ids = orders.map(({ id }) => String(id))
    this.calls.push(ids)
    this.keys.push(...context.idempotencyKeys)
    this.inside += 1
    this.mostInside = Math.max(this.mostInside, this.inside)
    try {
      return (await this.answers(ids, context)) as never
    } finally {
      this.inside -= 1
    }
  }

  get asked(): string[] {
    return this.calls.flat()
  }

  timesOf(id: number): number {
    return this.asked.filter((one) => one === String(id)).length
  }
}

const rulesOf = (Parcels: Parcels, service: Service, verify: object = {}, more: object = {}) =>
  ({
    order_pay: transition(Parcels, {
      ...{ from: 1, to: 0, deadline: 'dueAt', after: '15m', history: true },
      ...more,
      verify: { ask: service.ask, perSecond: 1_000, ...verify },
    } as never),
    order_confirm: transition(Parcels, { from: 4, to: 5, since: 'placedAt', after: '1s' }),
  }) satisfies Rules

describe('"verify"', () => {
  let shop: ParcelShop<ReturnType<typeof rulesOf>>
  let service: Service
  const others: (() => Promise<unknown>)[] = []

  beforeEach(() => {
    service = new Service()
  })

  afterEach(async () => {
    for (const close of others.splice(0)) await close()
    await shop.close()
  })

  const open = async (verify: object = {}, more: object = {}, options: object = {}) => {
    shop = await openParcels((Parcels) => rulesOf(Parcels, service, verify, more), options)
    for (const sql of Unverified.createSql(UNVERIFIED_TABLE)) await shop.sql(sql)
    await shop.sql(`ALTER TABLE ${HISTORY_TABLE} ADD COLUMN ${VERIFIED_COLUMN} jsonb`)
  }
  const unpaid = (dueInMs = -1000, values: object = {}) => shop.parcel(dueInMs, { status: 1, ...values })
  const unpaids = (count: number) =>
    shop.Parcel.bulkCreate(Array.from({ length: count }, () => ({ status: 1, dueAt: new Date(Date.now() - 1000) })))
  const statusOf = async (id: number) => (await shop.find(id)).status
  const settled = async () => (await shop.sql('SELECT count(*)::int AS count FROM parcels WHERE status = 0'))[0]?.count
  const waiting = () => shop.sql(`SELECT order_id, times, answer, error, reference FROM ${UNVERIFIED_TABLE} ORDER BY order_id`)
  const worker = (options: WorkerOptions = { fallback: false }) => shop.worker(options)
  const anotherWorker = (options: WorkerOptions, verify: object) => {
    const { sequelize } = shop.database.connectSequelize()
    const timers = makeTimers(rulesOf(defineParcel(sequelize), service, verify), { redis: shop.redis.url, prefix: shop.redis.prefix })
    const other = watched(startExpiryWorker(timers, options))
    others.push(async () => {
      await other.stop()
      await timers.close()
    })
    return other
  }
  const askAgainNow = () => shop.sql(`UPDATE ${UNVERIFIED_TABLE} SET next = now()`)

  it('settles by the alarm what was answered with true, and keeps answer, time and reference', async () => {
    await open()
    service.answers = (ids) => ids.map((id) => ({ answer: true, reference: `session ${id}` }))
    await worker()
    const id = await unpaid(60_000)
    await shop.timers.schedule('order_pay', id, { after: 50 })
    await waitUntil(async () => (await statusOf(id)) === 0)
    const [row] = (await shop.history()) as unknown as { verified: Record<string, unknown>; via: string; deadline: Date }[]
    const { at, ...verified } = row?.verified ?? {}
    assert.deepEqual([verified, row?.via], [{ answer: true, reference: `session ${id}` }, 'alarm'])
    assert.ok(Math.abs(Date.parse(at as string) - Date.now()) < 60_000)
    assert.deepEqual(service.keys, [`order_pay:${id}:${row?.deadline.getTime()}`])
    assert.deepEqual(await waiting(), [])
  })

  it('settles nothing that was answered otherwise, and asks about it again in its time', async () => {
    await open()
    const [paid, processing, unknown, refused, free] = await Promise.all([unpaid(), unpaid(), unpaid(), unpaid(), unpaid()])
    const answers: Record<number, unknown> = {
      [paid]: false,
      [processing]: '2s',
      [unknown]: new Error('no session'),
      [refused]: Promise.reject(new Error('gone')),
    }
    ;(answers[refused] as Promise<never>).catch(() => {})
    service.answers = (ids) => ids.map((id) => answers[Number(id)] ?? true)
    const started = await worker(EVERY_SECOND)
    await waitUntil(async () => (await waiting()).length === 4 && (await statusOf(free)) === 0)
    assert.deepEqual(
      (await waiting())
        .map(({ order_id, answer, error }) => [Number(order_id), answer ?? error])
        .sort((a, b) => Number(a[0]) - Number(b[0])),
      [
        [paid, 'false'],
        [processing, '2s'],
        [unknown, 'no session'],
        [refused, 'gone'],
      ].sort((a, b) => Number(a[0]) - Number(b[0])),
    )
    answers[processing] = true
    await waitUntil(async () => (await statusOf(processing)) === 0)
    assert.equal(service.timesOf(processing), 2)
    await waitForEvent(started, 'swept')
    await waitForEvent(started, 'swept')
    assert.deepEqual([service.timesOf(paid), service.timesOf(free)], [1, 1])
    assert.equal(await settled(), 2)
  })

  it('asks again where the row was written between the question and the settlement', async () => {
    await open()
    const id = await unpaid()
    let writes = 0
    service.answers = async (ids) => {
      if (writes++ === 0) await shop.sql(`UPDATE parcels SET country = 'JP' WHERE id = ${id}`)
      return ids.map(() => writes === 1)
    }
    await worker()
    await waitUntil(() => service.timesOf(id) === 2)
    await waitUntil(async () => (await waiting()).length === 1)
    assert.equal(await statusOf(id), 1, 'the second answer, about the row as it is, decides')
  })

  it('is not kept from settling by a lock that came and went meanwhile', async () => {
    await open()
    const id = await unpaid()
    service.answers = async (ids) => {
      const client = await shop.database.connect()
      await client.query('BEGIN')
      await client.query(`SELECT 1 FROM parcels WHERE id = ${id} FOR UPDATE`)
      await client.query('COMMIT')
      return ids.map(() => true)
    }
    await worker()
    await waitUntil(async () => (await statusOf(id)) === 0)
    assert.equal(service.timesOf(id), 1)
  })

  it('leaves an order alone that was paid while it was asked about', async () => {
    await open()
    const id = await unpaid()
    service.answers = async (ids) => {
      await shop.sql(`UPDATE parcels SET status = 2 WHERE id = ${id}`)
      return ids.map(() => true)
    }
    const started = await worker()
    await waitUntil(() => started.health().kinds.order_pay?.gone === 1)
    assert.deepEqual([await statusOf(id), await shop.history(), service.asked.length], [2, [], 1])
  })

  it('does not ask about what is not due, was paid, or is held back', async () => {
    await open({}, { where: { disputeOpen: null } })
    await Promise.all([unpaid(60_000), shop.parcel(-1000, { status: 2 }), unpaid(-1000, { disputeOpen: true })])
    const id = await unpaid()
    await worker(EVERY_SECOND)
    await waitUntil(async () => (await statusOf(id)) === 0)
    assert.deepEqual(service.asked, [String(id)])
  })

  it('holds up no other rule and no sweep while it waits, and holds no connection', async () => {
    await open({ timeout: '1m' }, {}, { database: { pool: { max: 2, min: 0, acquire: 2_000, idle: 1_000 } } })
    const slow = new AbortController()
    service.answers = (_, { signal }) => once(AbortSignal.any([signal, slow.signal]), 'abort').then(() => [false])
    await Promise.all([unpaid(), unpaid(), unpaid()])
    const started = await worker(EVERY_SECOND)
    await waitUntil(() => service.inside > 0)
    for (let n = 0; n < 2; n++) await waitForEvent(started, 'swept')
    const id = await shop.parcel(null, { status: 4, placedAt: new Date(Date.now() - 5_000) })
    await waitUntil(async () => (await statusOf(id)) === 5)
    assert.ok(service.inside > 0)
    const [open_] = await shop.sql(
      "SELECT count(*)::int AS count FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database() AND now() - state_change > interval '300 ms'",
    )
    assert.equal(open_?.count, 0)
    assert.deepEqual(started.health().faults, [])
    slow.abort()
  })

  it('counts no attempt for a service that is down, says so once, probes with one order, and then goes on', async () => {
    await open({ batch: 8 }, { attempts: 1 })
    const orders = await unpaids(20)
    let down = true
    service.answers = (ids) => {
      if (down) throw Object.assign(new Error('503'), { retryAfter: 0 })
      return ids.map(() => true)
    }
    const started = await worker(EVERY_SECOND)
    await waitUntil(() => service.calls.length >= 3, { within: 15_000 })
    const fault = started.health().faults.find(({ code }) => code === 'VERIFY_FAILED')
    assert.match(fault?.message ?? '', /^order_pay: "verify.ask" has failed since \d{4}-.*orders wait for an answer/)
    assert.equal(fault?.cause, '503')
    assert.ok(
      service.calls.slice(2).every((ids) => ids.length === 1),
      'probes by one order',
    )
    assert.ok(service.calls.length < 8, 'backs off')
    down = false
    await waitUntil(async () => (await settled()) === orders.length, { within: 20_000 })
    await waitUntil(() => started.health().faults.length === 0)
    assert.equal(started.health().kinds.order_pay?.failed, 0)
    assert.equal(started.health().kinds.order_pay?.dead, 0)
  })

  for (const [what, answers, error] of [
    [
      'too few',
      () => [true],
      /^orderTimers: rule "order_pay": "verify.ask" must answer once for each order: it was asked about 2 and answered 1$/,
    ],
    ['too many', () => [true, true, true], /it was asked about 2 and answered 3/],
    ['no array', () => true, /must answer with an array of one answer for each order, got true/],
    ['nothing in time', () => new Promise(() => {}), /"verify.ask" did not answer within 100ms \(2 orders\)/],
    ['all errors', (ids: string[]) => ids.map(() => new Error('down')), /^down$/],
  ] as [string, Answers, RegExp][]) {
    it(`settles none of a batch where it was answered with ${what}`, async () => {
      await open({ batch: 2, timeout: 100 })
      await unpaids(2)
      service.answers = answers
      const started = await worker()
      await waitUntil(() => started.health().faults[0]?.code === 'VERIFY_FAILED')
      assert.match(started.health().faults[0]?.cause ?? '', error)
      assert.equal(await settled(), 0)
      await waitUntil(async () => (await waiting()).length === 2)
    })
  }

  it('takes a "retryAfter" that is empty or 0 as not given, and waits a second for a shorter one', async () => {
    await open({ batch: 10 })
    const given = [null, '', 0, '0', false, 0.001, 90]
    const orders = await unpaids(given.length)
    const ids = orders.map((order) => String(order.id))
    service.answers = (asked) => asked.map((id) => Object.assign(new Error('429'), { retryAfter: given[ids.indexOf(id)] }))
    const free = await unpaid()
    const answers = service.answers
    service.answers = (asked, context) =>
      (answers(asked, context) as unknown[]).map((answer, i) => (asked[i] === String(free) ? true : answer))
    await worker()
    await waitUntil(async () => (await waiting()).length === given.length)
    const rows = await shop.sql(
      `SELECT round(extract(epoch from next - now()))::int AS seconds FROM ${UNVERIFIED_TABLE} ORDER BY order_id::int`,
    )
    const seconds = rows.map((row) => row.seconds as number)
    for (const wait of seconds.slice(0, 5)) assert.ok(wait > 5 && wait <= 30, String(seconds))
    assert.ok((seconds[5] as number) <= 1, String(seconds))
    assert.ok((seconds[6] as number) > 60, String(seconds))
    for (const id of ids.slice(0, 5)) assert.equal(service.timesOf(Number(id)), 1)
  })

  it('takes a negative duration, or anything else, as no answer of that order alone', async () => {
    await open()
    const [wrong, right] = [await unpaid(), await unpaid()]
    service.answers = (ids) => ids.map((id) => (id === String(wrong) ? '-5m' : true))
    await worker()
    await waitUntil(async () => (await statusOf(right)) === 0)
    const [kept] = await waiting()
    assert.equal(
      kept?.error,
      `orderTimers: rule "order_pay": "verify.ask" must be true, false, a duration such as '5m', an Error, or { answer, reference }; of order_pay:${wrong}:${(await shop.find(wrong)).dueAt?.getTime()} it answered "-5m"`,
    )
  })

  it('asks nothing and settles nothing while it is stopped by its brake, and asks about no more than it lets pass', async () => {
    await open({}, { brake: { max: 3, per: '1h' } })
    await unpaids(8)
    const started = await worker(EVERY_SECOND)
    await waitUntil(() => started.health().faults[0]?.code === 'BRAKED')
    assert.deepEqual([await settled(), service.asked.length], [3, 3])
    await holdsFor(1_500, async () => service.asked.length === 3, { every: 200 })
    await shop.timers.release('order_pay')
    await waitUntil(async () => (await settled()) === 6)
    assert.equal(service.asked.length, 6)
  })

  it('does not try again and again what it asks about again, while its brake stops it', async () => {
    await open({}, { brake: { max: 1, per: '1h' } })
    const later = await unpaid()
    service.answers = (ids) => ids.map((id) => (id === String(later) ? '2s' : true))
    const started = await worker({ fallback: false })
    await waitUntil(async () => (await waiting()).length === 1)
    const first = await unpaid(60_000)
    await shop.timers.schedule('order_pay', first, { after: 50 })
    await waitUntil(async () => (await statusOf(first)) === 0)
    await waitUntil(() => started.health().faults[0]?.code === 'BRAKED')
    await holdsFor(1_500, () => (started.health().kinds.order_pay?.held ?? 0) < 10, { every: 100 })
    assert.deepEqual([service.timesOf(later), await statusOf(later)], [1, 1])
    service.answers = (ids) => ids.map(() => true)
    await shop.timers.release('order_pay')
    await waitUntil(async () => (await statusOf(later)) === 0)
  })

  it('does not try again and again what it asks about again, while its row is locked, and asks about the next all the same', async () => {
    await open({ batch: 1, concurrency: 1 })
    service.answers = (ids) => ids.map(() => '2s')
    const [locked, free] = [await unpaid(), await unpaid()]
    const started = await worker({ fallback: false })
    await waitUntil(async () => (await waiting()).length === 2)
    service.answers = (ids) => ids.map(() => true)
    const client = await shop.database.connect()
    await client.query('BEGIN')
    await client.query(`SELECT 1 FROM parcels WHERE id = ${locked} FOR UPDATE`)
    await shop.sql(`UPDATE ${UNVERIFIED_TABLE} SET next = now() - interval '1 minute' WHERE order_id = '${locked}'`)
    await waitUntil(async () => (await statusOf(free)) === 0)
    await holdsFor(1_500, () => (started.health().kinds.order_pay?.locked ?? 0) < 10, { every: 100 })
    await client.query('COMMIT')
    await waitUntil(async () => (await statusOf(locked)) === 0)
    assert.equal(service.timesOf(locked), 2)
  })

  it('blames no trigger for an order that is written between being found locked and being locked: it is asked about again', async () => {
    await open()
    const id = String(await unpaid())
    const { sequelize } = shop.database
    const [{ xmin }] = (await shop.sql(`SELECT xmin::text AS xmin FROM parcels WHERE id = ${id}`)) as [{ xmin: string }]
    const client = await shop.database.connect()
    await client.query('BEGIN')
    await client.query(`UPDATE parcels SET country = 'TW' WHERE id = ${id}`)
    const query = sequelize.query.bind(sequelize) as (...args: unknown[]) => Promise<unknown>
    Object.assign(sequelize, {
      query: async (sql: unknown, options: unknown) => {
        const found = await query(sql, options)
        if (String(sql).includes('AS remaining_ms')) await client.query('COMMIT')
        return found
      },
    })
    const proofs = new Map([[id, { xmin, at: new Date().toISOString(), answer: true as const }]])
    const work = { deadlineOf: () => undefined, via: 'alarm', worker: 'test', inRule: false, signal: new AbortController().signal, proofs }
    const settlement = await runtimeOf(shop.timers).rule('order_pay').settle([id], work)
    assert.deepEqual([settlement.settled, settlement.locked, work.inRule], [[], [id], false])
    assert.equal(await statusOf(Number(id)), 1)
  })

  it('asks nothing while the kind is held, and settles nothing that was answered before; released, it asks again', async () => {
    await open()
    for (const sql of Holds.createSql(HOLDS_TABLE)) await shop.sql(sql)
    let answer = () => {}
    service.answers = (ids) => new Promise((resolve) => (answer = () => resolve(ids.map(() => true))))
    const id = await unpaid()
    await worker(EVERY_SECOND)
    await waitUntil(() => service.inside === 1)
    await shop.timers.hold('order_pay', { reason: 'provider down' })
    const other = await unpaid()
    answer()
    await holdsFor(2_500, async () => (await settled()) === 0 && service.asked.length === 1, { every: 200 })
    service.answers = (ids) => ids.map(() => true)
    await shop.timers.release('order_pay', { shift: false })
    await waitUntil(async () => (await statusOf(id)) === 0 && (await statusOf(other)) === 0)
  })

  it('asks once for a settlement that is tried again a moment later', async () => {
    let fails = 1
    await open(
      {},
      {
        run: () => {
          if (fails-- > 0) throw new Error('stock')
        },
      },
    )
    const id = await unpaid()
    await worker()
    await waitUntil(async () => (await statusOf(id)) === 0)
    assert.equal(service.timesOf(id), 1)
  })

  it('keeps what is to be asked again in Postgres: another worker goes on with it, without Redis too', async () => {
    await open()
    const id = await unpaid()
    service.answers = (ids) => ids.map(() => false)
    const first = await worker()
    await waitUntil(async () => (await waiting()).length === 1)
    await first.stop()
    await shop.redis.client.flushdb()
    service.answers = (ids) => ids.map(() => true)
    await askAgainNow()
    await worker(EVERY_SECOND)
    await waitUntil(async () => (await statusOf(id)) === 0)
    assert.equal(service.timesOf(id), 2)
    assert.deepEqual(await waiting(), [])
  })

  it('asks about each order once, whichever of two workers has it, and no more in a second than perSecond', async () => {
    const verify = { batch: 5, perSecond: 20 }
    await open(verify)
    const orders = await unpaids(40)
    const startedAt = performance.now()
    await Promise.all([worker(EVERY_SECOND), anotherWorker(EVERY_SECOND, verify)])
    await waitUntil(async () => (await settled()) === orders.length, { within: 20_000 })
    assert.equal(new Set(service.asked).size, service.asked.length)
    assert.ok(service.calls.every((ids) => ids.length <= 20))
    assert.ok(performance.now() - startedAt > 1_000)
  })

  it('discards what is answered once the worker stops; the next one asks again', async () => {
    await open({ timeout: '1m' })
    const id = await unpaid()
    let answer = (_: unknown) => {}
    service.answers = (ids) =>
      new Promise((resolve) => {
        answer = () => resolve(ids.map(() => true))
      })
    const started = await worker()
    await waitUntil(() => service.inside === 1)
    await started.stop()
    answer(undefined)
    await delay(100)
    assert.equal(await statusOf(id), 1)
    assert.deepEqual(await waiting(), [])
    service.answers = (ids) => ids.map(() => true)
    await worker()
    await waitUntil(async () => (await statusOf(id)) === 0)
  })

  it('reports an order that keeps being answered with false, until it is gone', async () => {
    await open()
    const id = await unpaid()
    service.answers = (ids) => ids.map(() => false)
    const started = await worker(EVERY_SECOND)
    for (let n = 1; n <= 3; n++) {
      await waitUntil(() => service.timesOf(id) === n)
      await waitUntil(async () => (await waiting())[0]?.times === n)
      await askAgainNow()
    }
    await waitUntil(() => started.health().faults[0]?.code === 'UNVERIFIED')
    assert.match(
      started.health().faults[0]?.message ?? '',
      new RegExp(`^order_pay: 1 orders are due, and "verify.ask" keeps answering false, such as of ${id}; `),
    )
    await shop.sql(`UPDATE parcels SET status = 2 WHERE id = ${id}`)
    await askAgainNow()
    await waitUntil(() => started.health().faults.length === 0)
    assert.deepEqual(await waiting(), [])
  })

  it('settles an order unverified where a person says so and why, and keeps that; not where the row is written before', async () => {
    await open()
    await shop.sql(ActionsTable.createSql(ACTIONS_TABLE).join(';'))
    const [id, touched] = [await unpaid(), await unpaid()]
    service.answers = (ids) => ids.map(() => false)
    const started = await worker()
    await waitUntil(async () => (await waiting()).length === 2)
    const runtime = runtimeOf(shop.timers)
    const settle = (order: number, reason?: string) =>
      act(
        runtime,
        { action: 'settle', kind: 'order_pay', orders: [{ id: order }], unverified: true },
        { user: 'night shift', via: 'command', reason },
      )
    await assert.rejects(settle(id), { code: 'ERR_ORDER_TIMERS_INVALID_ACTION', message: /needs a reason/ })
    await assert.rejects(
      act(
        runtime,
        { action: 'settle', kind: 'order_confirm', orders: [{ id }], unverified: true },
        { user: 'x', via: 'call', reason: 'y' },
      ),
      { code: 'ERR_ORDER_TIMERS_INVALID_ACTION' },
    )
    await started.stop()
    await Promise.all([settle(id, 'closed by phone'), settle(touched, 'too')])
    await shop.sql(`UPDATE parcels SET country = 'JP' WHERE id = ${touched}`)
    const view = await viewOrder(runtime, String(touched), 'order_pay')
    assert.match(view.rules[0]?.next ?? '', /^asked about again now .*"verify" has asked about it once, and the last answer was false/)
    await worker()
    await waitUntil(async () => (await statusOf(id)) === 0)
    await waitUntil(() => service.timesOf(touched) === 2)
    assert.equal(service.timesOf(id), 1)
    const [{ verified }] = (await shop.history()) as unknown as [{ verified: Record<string, unknown> }]
    assert.deepEqual([verified.by, verified.reason, verified.answer], ['night shift', 'closed by phone', undefined])
    const shown = await viewOrder(runtime, String(id), 'order_pay')
    assert.deepEqual(shown.rules[0]?.history?.[0]?.verified?.reason, 'closed by phone')
    const [record] = await shop.sql(`SELECT action, reason FROM ${ACTIONS_TABLE} ORDER BY id LIMIT 1`)
    assert.equal(record?.action, 'settle unverified')
    assert.equal(await statusOf(touched), 1)
  })

  it('keeps a word that was given while the order was asked about', async () => {
    await open()
    await shop.sql(ActionsTable.createSql(ACTIONS_TABLE).join(';'))
    const id = await unpaid()
    let answer = (_: unknown) => {}
    const asked = new Promise<void>((resolve) => {
      service.answers = (ids) => {
        resolve()
        return new Promise((answered) => {
          answer = answered
        }).then(() => ids.map(() => false))
      }
    })
    const started = await worker(EVERY_SECOND)
    await asked
    const word = { user: 'night shift', via: 'command', reason: 'closed by phone' } as const
    await act(runtimeOf(shop.timers), { action: 'settle', kind: 'order_pay', orders: [{ id }], unverified: true }, word)
    answer(undefined)
    await waitUntil(async () => (await statusOf(id)) === 0)
    assert.equal(service.timesOf(id), 1)
    assert.deepEqual(started.faultsTold, [])
  })

  it('asks also in a single sweep, of what is stale too, and by expire', async () => {
    await open({}, { staleAfter: '1m' })
    const [stale, late] = [await unpaid(-120_000), await unpaid()]
    const runtime = runtimeOf(shop.timers)
    await sweepOnce(runtime, { kind: 'order_pay' })
    assert.deepEqual([await statusOf(late), service.asked], [0, [String(late)]])
    await sweepOnce(runtime, { kind: 'order_pay', stale: true })
    assert.deepEqual([await statusOf(stale), service.timesOf(stale)], [0, 1])
    const id = await unpaid(60_000)
    await expire(await worker(), 'order_pay', id)
    assert.deepEqual([await statusOf(id), service.timesOf(id)], [0, 1])
    const [plan] = await planOf(runtime)
    assert.deepEqual(plan?.notes, ['verify: it asks about each order that is due, and settles it only if the answer is true'])
    const status = await ruleStatus(runtime.rule('order_pay'), runtime, { postgresAnswers: true, redis: undefined })
    assert.equal(status.unverified?.count, 0)
  })

  it('does not count the time in which an order waits for an answer towards "staleAfter"', async () => {
    await open({}, { staleAfter: '2s' })
    const id = await unpaid(-500)
    service.answers = (ids) => ids.map(() => '3s')
    const started = await worker(EVERY_SECOND)
    await waitUntil(() => service.timesOf(id) === 1)
    service.answers = (ids) => ids.map(() => true)
    await waitUntil(async () => (await statusOf(id)) === 0, { within: 15_000 })
    assert.deepEqual(started.health().faults, [])
  })

  it('asks under "since" too, and asks nothing in a dry run', async () => {
    shop = (await openParcels((Parcels) => ({
      order_pay: transition(Parcels, {
        ...{ from: 1, to: 0, since: 'placedAt', after: '1s', history: true, verify: { ask: service.ask } },
      }),
      order_confirm: transition(Parcels, {
        ...{ from: 4, to: 5, since: 'placedAt', after: '1s', history: true, dryRun: true, verify: { ask: service.ask } },
      }),
    }))) as never
    for (const sql of Unverified.createSql(UNVERIFIED_TABLE)) await shop.sql(sql)
    await shop.sql(`ALTER TABLE ${HISTORY_TABLE} ADD COLUMN ${VERIFIED_COLUMN} jsonb`)
    const placedAt = new Date(Date.now() - 5_000)
    const [pay, confirm] = [await shop.parcel(null, { status: 1, placedAt }), await shop.parcel(null, { status: 4, placedAt })]
    const started = await worker()
    await waitUntil(async () => (await statusOf(pay)) === 0)
    assert.deepEqual(service.asked, [String(pay)])
    assert.equal(await statusOf(confirm), 4)
    assert.equal(started.health().kinds.order_confirm?.settled, 0)
  })

  it('is wrong without its table and column, and says what adds them', async () => {
    shop = await openParcels((Parcels) => rulesOf(Parcels, service))
    await assert.rejects(
      shop.timers.check(),
      /there is no table .*order_timers_unverified.*; create it with what `order-timers migration` prints/,
    )
    for (const sql of Unverified.createSql(UNVERIFIED_TABLE)) await shop.sql(sql)
    await assert.rejects(shop.timers.check(), /has no column "verified", which "verify" needs/)
    await shop.sql(`ALTER TABLE ${HISTORY_TABLE} ADD COLUMN ${VERIFIED_COLUMN} jsonb`)
    await shop.timers.check()
  })
})
