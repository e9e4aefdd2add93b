import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { DataTypes, literal, Op } from 'sequelize'
import { historyPages } from '../../../lib/admin/rule-history.js'
import { status } from '../../../lib/admin/status.js'
import { type BulkProgress, transition } from '../../../lib/index.js'
import type { HistoryEntry } from '../../../lib/rows/history-reads.js'
import { holdLockSql } from '../../../lib/rows/hold-switch.js'
import type { Run } from '../../../lib/rows/runs-table.js'
import { tablesOf } from '../../../lib/timers/bulk/calls.js'
import { endRun } from '../../../lib/timers/bulk/end.js'
import { bulkRule } from '../../../lib/timers/bulk/request.js'
import { Runner } from '../../../lib/timers/bulk/runner.js'
import { leftRun } from '../../../lib/timers/bulk/unfinished.js'
import { type BulkShop, confirmRule, openBulkShop } from '../../support/bulk-shop.js'
import type { Database } from '../../support/database.js'
import { refusal, refused } from '../../support/refused.js'
import { runtimeOf } from '../../support/runtime.js'
import { makeTimers, openShop } from '../../support/shop.js'
import { waitUntil } from '../../support/waiting.js'

const DAY_MS = 86_400_000

function rules({ Order }: Pick<Database, 'Order'>) {
  return {
    ...confirmRule({ Order }),
    order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
    order_ship: transition(Order, { from: 2, to: 0, deadline: false, after: '24h' }),
    order_other: async (_work: { ids: string[] }) => {},
  }
}

describe('extendAll, scheduleAll and cancelAll', () => {
  let shop: BulkShop<ReturnType<typeof rules>>

  beforeEach(async () => {
    shop = await openBulkShop(rules)
  })

  afterEach(() => shop.close())

  it('moves each deadline of the orders that are meant by the duration, and no other', async () => {
    await shop.shipped(700, 'TW')
    await shop.shipped(20, 'JP')
    const before = await shop.deadlines()
    const result = await shop.timers.extendAll('order_confirm', { where: { note: 'TW' }, by: '3d', reason: 'typhoon' })
    assert.equal(result.moved, 700)
    assert.equal(result.plan?.count, 700)
    const after = await shop.deadlines()
    const expected = [...before].map(([id, at], i) => [id, i < 700 ? (at as number) + 3 * DAY_MS : at])
    assert.deepEqual([...after], expected)
    assert.deepEqual(await shop.runs(), [{ state: 'done', moved: 700, planned: 700, cursor: '720', skipped: [] }])
    assert.deepEqual(await shop.actions(), [
      { action: 'extendAll', state: 'asked', count: 700, reason: 'typhoon' },
      { action: 'extendAll', state: 'done', count: 700, reason: null },
    ])
  })

  it('shows what it would do with `dryRun`, and does nothing', async () => {
    await shop.shipped(3)
    const before = await shop.deadlines()
    const { run, moved, plan } = await shop.timers.extendAll('order_confirm', { all: true, by: '1d', dryRun: true })
    assert.deepEqual({ run, moved, count: plan?.count, deadTuples: plan?.deadTuples }, { run: null, moved: 0, count: 3, deadTuples: 3 })
    const [[id, at]] = [...before] as [[number, number]]
    assert.deepEqual(plan?.samples[0], { id: String(id), before: new Date(at), after: new Date(at + DAY_MS) })
    assert.equal(plan?.samples.length, 3)
    assert.deepEqual(await shop.deadlines(), before)
    assert.deepEqual(await shop.runs(), [])
    assert.deepEqual(await shop.actions(), [])
  })

  it('leaves orders that have left, have no timer, or are overdue for longer than `staleAfter`', async () => {
    await shop.shipped(4)
    await shop.database.client.query(`UPDATE orders SET status = 5 WHERE id = 1; UPDATE orders SET "confirmDueAt" = NULL WHERE id = 2;
      UPDATE orders SET "confirmDueAt" = now() - interval '30 days' WHERE id = 3`)
    const before = await shop.deadlines()
    assert.equal((await shop.timers.extendAll('order_confirm', { all: true, by: '1d' })).moved, 1)
    const after = await shop.deadlines()
    for (const id of [1, 2, 3]) assert.equal(after.get(id), before.get(id))
    assert.equal(after.get(4), (before.get(4) as number) + DAY_MS)
  })

  it('fills missing deadlines with one instant, counted from the start, and changes others with `overwrite` alone', async () => {
    await shop.shipped(5)
    await shop.database.client.query(`UPDATE orders SET "confirmDueAt" = NULL WHERE id <= 2`)
    const before = await shop.deadlines()
    const from = Date.now()
    assert.equal((await shop.timers.scheduleAll('order_confirm', { all: true, after: '2d' })).moved, 2)
    const filled = await shop.deadlines('id <= 2')
    assert.equal(new Set(filled.values()).size, 1)
    const at = [...filled.values()][0] as number
    assert.ok(at >= from - 5_000 + 2 * DAY_MS && at <= Date.now() + 5_000 + 2 * DAY_MS)
    assert.equal((await shop.deadlines()).get(3), before.get(3))
    const instant = new Date(Date.now() + 5 * DAY_MS)
    assert.equal((await shop.timers.scheduleAll('order_confirm', { all: true, at: instant, overwrite: true })).moved, 5)
    assert.deepEqual(new Set((await shop.deadlines()).values()), new Set([instant.getTime()]))
  })

  it('removes timers, in Redis too', async () => {
    await shop.shipped(3)
    for (const id of [1, 2, 3]) await shop.timers.schedule('order_confirm', id)
    assert.equal((await shop.timers.cancelAll('order_confirm', { where: { id: [1, 2] } })).moved, 2)
    assert.deepEqual(
      [...(await shop.deadlines()).values()].map((at) => at === null),
      [true, true, false],
    )
    const { client } = shop.redis
    assert.deepEqual(await client.zrange(shop.key('order-timers:{order_confirm}:due'), '0', '-1'), ['3'])
    assert.equal(await client.exists(shop.key('order_confirm:1'), shop.key('order_confirm:2')), 0)
  })

  it('moves in Redis what is armed, and brings no dead letter back', async () => {
    await shop.shipped(3)
    const { client } = shop.redis
    const due = shop.key('order-timers:{order_confirm}:due')
    await shop.timers.schedule('order_confirm', 1)
    await client.hset(shop.key('order-timers:{order_confirm}:failures'), '2', JSON.stringify({ attempts: 10, dead: true }))
    await shop.timers.extendAll('order_confirm', { all: true, by: '1s' })
    const after = await shop.deadlines()
    assert.equal(Number(await client.zscore(due, '1')), after.get(1))
    assert.equal(await client.pexpiretime(shop.key('order_confirm:1')), after.get(1))
    assert.deepEqual(await client.zrange(due, '0', '-1'), ['1'], 'what was not armed and comes due late is left to the sweep')
    await shop.timers.scheduleAll('order_confirm', { all: true, after: '1m', overwrite: true })
    assert.deepEqual(await client.zrange(due, '0', '-1'), ['1', '3'], 'the dead letter stays one')
  })

  it('reports its progress, stops at a signal, and is resumed without moving an order twice', async () => {
    await shop.shipped(1_000)
    const before = await shop.deadlines()
    const stop = new AbortController()
    const seen: BulkProgress[] = []
    const onProgress = (progress: BulkProgress) => {
      seen.push(progress)
      stop.abort(new Error('stop'))
    }
    await assert.rejects(shop.timers.extendAll('order_confirm', { all: true, by: '1d', onProgress, signal: stop.signal }), /^Error: stop$/)
    assert.deepEqual(
      seen.map(({ kind, moved, planned, skipped }) => ({ kind, moved, planned, skipped })),
      [{ kind: 'order_confirm', moved: 200, planned: 1_000, skipped: 0 }],
    )
    const second = await refused(() => shop.timers.cancelAll('order_confirm', { all: true }))
    assert.equal(second.code, 'ERR_ORDER_TIMERS_RUN_UNFINISHED')
    assert.match(second.message, /^orderTimers: order_confirm: extendAll of \S+ \(200 of 1000 orders, by \S+\) has not ended; /)
    const heldByRun = await refused(() => shop.timers.release('order_confirm', { what: 'hold' }))
    assert.equal(heldByRun.code, 'ERR_ORDER_TIMERS_NOT_HELD')
    assert.match(heldByRun.message, /: is held by a run alone \(extendAll\), .*; order-timers runs order_confirm shows it$/)
    const { moved, run, action } = await shop.timers.resumeRun('order_confirm')
    assert.deepEqual({ moved, action, run }, { moved: 1_000, action: 'extendAll', run: seen[0]?.run })
    assert.deepEqual(
      [...(await shop.deadlines())],
      [...before].map(([id, at]) => [id, (at as number) + DAY_MS]),
    )
    assert.deepEqual(
      await refused(() => shop.timers.resumeRun('order_confirm')),
      refusal('NO_RUN', 409, 'orderTimers: order_confirm: there is no run to resume; all have ended'),
    )
  })

  it('is abandoned where it is', async () => {
    await shop.shipped(500)
    const stop = new AbortController()
    const onProgress = () => stop.abort(new Error('stop'))
    await assert.rejects(shop.timers.cancelAll('order_confirm', { all: true, onProgress, signal: stop.signal }))
    assert.equal((await shop.timers.abandonRun('order_confirm')).moved, 200)
    assert.equal((await shop.deadlines('"confirmDueAt" IS NULL')).size, 200)
    assert.equal((await shop.runs())[0]?.state, 'abandoned')
    assert.equal((await shop.actions())[1]?.state, 'failed')
    assert.equal((await shop.timers.cancelAll('order_confirm', { all: true })).moved, 300)
  })

  it('is never ended twice: a late end leaves the hold of the next run alone', async () => {
    await shop.shipped(300)
    const left = async () => {
      const stop = new AbortController()
      const onProgress = () => stop.abort(new Error('stop'))
      await assert.rejects(shop.timers.extendAll('order_confirm', { all: true, by: '1d', onProgress, signal: stop.signal }))
    }
    const runtime = runtimeOf(shop.timers)
    const rule = bulkRule(runtime.rule('order_confirm'), 'extendAll')
    const tables = tablesOf(runtime, rule)
    await left()
    const [first] = await tables.runs.unfinished('order_confirm')
    await shop.timers.abandonRun('order_confirm')
    await left()
    assert.equal(await endRun(runtime, rule, first as Run, 'done', tables), undefined)
    assert.deepEqual(
      (await rule.row.holds.standing()).map(({ owner, state }) => [owner, state]),
      [['run', 'held']],
    )
    assert.equal((await shop.timers.resumeRun('order_confirm')).moved, 300)
    assert.deepEqual(await rule.row.holds.standing(), [])
  })

  it('holds the kind until the run has ended, and reports one that was left', async () => {
    await shop.shipped(300)
    await shop.database.client.query(`UPDATE orders SET "confirmDueAt" = now() - interval '1 second'`)
    const stop = new AbortController()
    const onProgress = () => stop.abort(new Error('stop'))
    await assert.rejects(shop.timers.extendAll('order_confirm', { all: true, by: '1h', onProgress, signal: stop.signal }))
    await shop.database.client.query(`UPDATE order_timers_runs SET moved_at = now() - interval '1 minute'`)
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.faultsTold.some(({ code }) => code === 'RUN_UNFINISHED'))
    const { message, kind } = worker.faultsTold.find(({ code }) => code === 'RUN_UNFINISHED') ?? {}
    assert.equal(kind, 'order_confirm')
    assert.match(
      message ?? '',
      /^order_confirm: run 1 \(extendAll, 200 of 300 orders\) has been left for \d+ s, and holds the rule; .* --resume goes on/,
    )
    const { troubles } = await status(runtimeOf(shop.timers))
    assert.ok(troubles.some(({ code }) => code === 'RUN_UNFINISHED'))
    assert.equal(worker.settled.length, 0, 'orders 201 to 300 are due, and held')
    const recovered = once(worker, 'recovered')
    await shop.timers.resumeRun('order_confirm')
    assert.equal(((await recovered) as [{ code: string }])[0].code, 'RUN_UNFINISHED')
    assert.equal((await shop.deadlines(`"confirmDueAt" > now() + interval '50 minutes'`)).size, 300)
    await shop.database.client.query(`UPDATE orders SET "confirmDueAt" = now() WHERE id = 300`)
    await shop.timers.schedule('order_confirm', 300, { after: 1 })
    await waitUntil(() => worker.settled.length === 1)
  })

  for (const [how, lose] of [
    ['its row is gone', 'DELETE FROM order_timers_runs'],
    ['the table of runs is gone', 'DROP TABLE order_timers_runs'],
  ] as const)
    it(`is told, and released on request, where ${how}: its kind would be held for ever`, async () => {
      await shop.shipped(300)
      const stop = new AbortController()
      const onProgress = () => stop.abort(new Error('stop'))
      await assert.rejects(shop.timers.extendAll('order_confirm', { all: true, by: '1d', onProgress, signal: stop.signal }))
      await shop.database.client.query(lose)
      const worker = await shop.worker({ fallback: false })
      const { message } = await waitUntil(() => worker.faultsTold.find(({ code }) => code === 'RUN_UNFINISHED'))
      assert.match(
        message,
        /^order_confirm: a run holds the rule, and this user finds nothing of it in "order_timers_runs".*--abandon releases/,
      )
      const { troubles } = await status(runtimeOf(shop.timers))
      assert.ok(troubles.some(({ code }) => code === 'RUN_UNFINISHED'))
      const { code } = await refused(() => shop.timers.release('order_confirm'))
      assert.equal(code, 'ERR_ORDER_TIMERS_RUN_UNFINISHED')
      const recovered = once(worker, 'recovered')
      const ended = await shop.timers.abandonRun('order_confirm')
      assert.deepEqual(ended, { kind: 'order_confirm', action: 'extendAll', run: null, moved: 0, plan: undefined })
      assert.equal(((await recovered) as [{ code: string }])[0].code, 'RUN_UNFINISHED')
      await shop.timers.schedule('order_confirm', 300, { after: 1 })
      await waitUntil(() => worker.settled.length === 1)
      const again = await refused(() => shop.timers.abandonRun('order_confirm'))
      assert.match(again.code, /_(?:NO_RUN|NOT_RECORDED)$/)
    })

  it('says that it stopped, and that its kind stays held, where a trigger refuses a row', async () => {
    await shop.shipped(300)
    await shop.database.client.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
      CREATE TRIGGER refuse BEFORE UPDATE ON orders FOR EACH ROW WHEN (OLD.id = 250) EXECUTE FUNCTION refuse()`)
    const { code, message } = await refused(() => shop.timers.extendAll('order_confirm', { all: true, by: '1d' }))
    assert.equal(code, 'ERR_ORDER_TIMERS_RUN_UNFINISHED')
    assert.match(message, /run 1 stopped \(.*not this one\); 200 of 300 orders were moved, and the kind stays held/)
    await shop.database.client.query('DROP TRIGGER refuse ON orders')
    assert.equal((await shop.timers.resumeRun('order_confirm')).moved, 300)
  })

  it('can be abandoned although its rule has another kind of deadline by now', async () => {
    await shop.shipped(300)
    const stop = new AbortController()
    const onProgress = () => stop.abort(new Error('stop'))
    await assert.rejects(shop.timers.extendAll('order_confirm', { all: true, by: '1d', onProgress, signal: stop.signal }))
    await shop.database.client.query(`UPDATE order_timers_runs SET moved_at = now() - interval '1 minute'`)
    const { Order } = shop.database
    const changed = { order_confirm: transition(Order, { from: 4, to: 5, since: 'createdAt', after: '24h' }) }
    const timers = makeTimers(changed, { redis: shop.redis.url, prefix: shop.redis.prefix })
    const { troubles } = await status(runtimeOf(timers))
    assert.ok(troubles.some(({ code }) => code === 'RUN_UNFINISHED'))
    assert.equal((await (timers as unknown as typeof shop.timers).abandonRun('order_confirm')).moved, 200)
    assert.equal((await timers.hold('order_confirm', { reason: 'to see that nothing holds it' })).state, 'held')
    await timers.close()
  })

  it('says that it is carried out also while it waits, so that it is not taken for one that was left', async () => {
    await shop.shipped(300)
    const stop = new AbortController()
    const onProgress = () => stop.abort(new Error('stop'))
    await assert.rejects(shop.timers.extendAll('order_confirm', { all: true, by: '1d', onProgress, signal: stop.signal }))
    const runtime = runtimeOf(shop.timers)
    const rule = bulkRule(runtime.rule('order_confirm'), 'resumeRun')
    const tables = tablesOf(runtime, rule)
    const settling = await shop.database.connect()
    await settling.query('BEGIN')
    await settling.query(`SELECT pg_advisory_xact_lock_shared(${holdLockSql(rule.row.holds)})`)
    const leave = async () => {
      await shop.database.client.query(`UPDATE order_timers_runs SET moved_at = now() - interval '1 minute'`)
      assert.match((await leftRun(rule.row, runtime.keys.prefix, []))?.message ?? '', /has been left for \d+ s/)
    }
    await leave()
    const [run] = await tables.runs.unfinished('order_confirm')
    const patience = { troubleMs: 5_000, lockedMs: 10_000, beatMs: 20 }
    const carriedOut = new Runner(runtime, rule, run as Run, tables, patience).carryOut({})
    const isSeen = async () => (await leftRun(rule.row, runtime.keys.prefix, [])) === undefined
    await waitUntil(isSeen)
    await shop.database.client.query(`UPDATE order_timers_runs SET moved_at = now() - interval '1 minute'`)
    await waitUntil(isSeen)
    assert.equal((await shop.runs())[0]?.moved, 200, 'nothing is moved meanwhile')
    await settling.query('COMMIT')
    assert.equal(await carriedOut, 300)
  })

  it('notes in the history of a rule that keeps one which run moved each order, from when to when', async () => {
    const other = await openBulkShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', history: true }),
    }))
    try {
      await other.shipped(250)
      await other.database.client.query(`UPDATE orders SET "confirmDueAt" = NULL WHERE id = 250`)
      const before = await other.deadlines()
      const first = await other.timers.extendAll('order_confirm', { all: true, by: '1d' })
      const second = await other.timers.scheduleAll('order_confirm', { all: true, after: '2d' })
      await other.timers.cancelAll('order_confirm', { where: { id: 7 } })
      const pages: HistoryEntry[] = []
      for await (const page of historyPages(runtimeOf(other.timers), 'order_confirm', DAY_MS)) pages.push(...page)
      const text = (at: number | null | undefined) => (at == null ? null : new Date(at).toISOString())
      const noted = pages.map(({ id, reminder, from, to, deadline, via }) => ({
        id,
        reminder,
        from,
        to,
        deadline: deadline?.getTime() ?? null,
        via,
      }))
      const entries = (run: string | null) => noted.filter(({ reminder }) => reminder === `run ${run}`)
      const expected = [...before].slice(0, 249).map(([id, at]) => {
        return { id: String(id), reminder: `run ${first.run}`, from: text(at), to: text((at as number) + DAY_MS), deadline: at, via: 'run' }
      })
      assert.deepEqual(new Set(entries(first.run)), new Set(expected))
      const filled = (await other.deadlines('id = 250')).get(250)
      assert.deepEqual(entries(second.run), [
        { id: '250', reminder: `run ${second.run}`, from: null, to: text(filled), deadline: null, via: 'run' },
      ])
      assert.deepEqual(
        noted.filter(({ to }) => to === null).map(({ id }) => id),
        ['7'],
      )
      assert.equal(noted.length, 251)
      await other.database.client.query('DROP TABLE order_timers_history')
      const { code, message } = await refused(() => other.timers.extendAll('order_confirm', { all: true, by: '1d' }))
      assert.equal(code, 'ERR_ORDER_TIMERS_NOT_RECORDED')
      assert.match(message, /its rule has "history", and this role may not add to "order_timers_history"; GRANT INSERT/)
      assert.deepEqual(
        (await other.runs()).map(({ state }) => state),
        ['done', 'done', 'done'],
      )
      assert.deepEqual(await runtimeOf(other.timers).rule('order_confirm').row?.holds.standing(), [])
    } finally {
      await other.close()
    }
  })

  it('passes rows that another transaction has locked, and moves them once they are free', async () => {
    await shop.shipped(300)
    const before = await shop.deadlines()
    const locker = await shop.database.connect()
    await locker.query('BEGIN; SELECT 1 FROM orders WHERE id IN (7, 150) FOR UPDATE')
    let skipped = 0
    const onProgress = (progress: BulkProgress) => {
      skipped = progress.skipped
      if (progress.moved === 298) void locker.query('COMMIT')
    }
    assert.equal((await shop.timers.extendAll('order_confirm', { all: true, by: '1d', onProgress })).moved, 300)
    assert.equal(skipped, 0)
    assert.deepEqual(
      [...(await shop.deadlines())],
      [...before].map(([id, at]) => [id, (at as number) + DAY_MS]),
    )
  })

  it('takes orders with text and UUID ids, and is not confused by statistics', async () => {
    const { sequelize, client } = shop.database
    await client.query('CREATE TABLE parcels (id uuid PRIMARY KEY, status text NOT NULL, due timestamptz)')
    const Parcel = sequelize.define(
      'Parcel',
      { id: { type: DataTypes.UUID, primaryKey: true }, status: DataTypes.TEXT, due: DataTypes.DATE },
      { tableName: 'parcels', timestamps: false },
    )
    const other = await openShop(() => ({ parcel: transition(Parcel, { from: 'sent', to: 'lost', deadline: 'due' }) }))
    try {
      const at = new Date(Date.now() + DAY_MS)
      await Parcel.bulkCreate(Array.from({ length: 450 }, () => ({ id: randomUUID(), status: 'sent', due: at })))
      assert.equal((await other.timers.extendAll('parcel', { all: true, by: '1h' })).moved, 450)
      const { rows } = await client.query('SELECT DISTINCT due FROM parcels')
      assert.deepEqual(rows, [{ due: new Date(at.getTime() + 3_600_000) }])
    } finally {
      await other.close()
    }
  })

  it('refuses what names no orders, or names them by anything but attributes and values', async () => {
    const { timers } = shop
    const where = (given: unknown) => refused(() => timers.cancelAll('order_confirm', { where: given as Record<string, unknown> }))
    const needs = `orderTimers: order_confirm: cancelAll() needs "where", such as { country: 'TW' }, or all: true for all orders of the rule`
    assert.deepEqual(await refused(() => timers.cancelAll('order_confirm', {})), refusal('INVALID_WHERE', 400, `${needs}, got undefined`))
    assert.deepEqual(await where({}), refusal('INVALID_WHERE', 400, `${needs}, got {}`))
    assert.match(
      (await where({ country: 'TW' })).message,
      /^orderTimers: order_confirm: "where" names "country", which is no attribute of Order; /,
    )
    assert.match((await where({ id: { [Op.gt]: 3 } })).message, /"where": "id" is INTEGER and takes a value or a list of values, got /)
    assert.match((await where({ [Op.or]: [{ id: 1 }] })).message, /"where" has the operator Symbol\(or\)/)
    assert.match((await where({ note: literal('1 = 1') })).message, /"note" is STRING and takes a value or a list of values/)
    assert.match((await where({ id: '1; DROP TABLE orders' })).message, /"id" is INTEGER and takes a value of that type/)
    assert.match((await where({ id: [] })).message, /must have from 1 to 1000 values, it has 0/)
    assert.match((await where('note')).message, /must be an object of attributes and values/)
    assert.match((await where(JSON.parse('{"__proto__": 1}'))).message, /names "__proto__", which is no attribute/)
    const both = await refused(() => timers.cancelAll('order_confirm', { where: { id: 1 }, all: true }))
    assert.match(both.message, /give "where" or all: true, not both$/)
    assert.deepEqual(await shop.runs(), [])
  })

  it('refuses rules without a deadline that a call can write, and wrong times', async () => {
    const { timers } = shop
    const loose = timers as unknown as { extendAll(kind: string, options: object): Promise<unknown> }
    assert.equal((await refused(() => loose.extendAll('order_pay', { all: true, by: '1d' }))).code, 'ERR_ORDER_TIMERS_NOT_ON_SINCE')
    for (const kind of ['order_ship', 'order_other'])
      assert.equal((await refused(() => loose.extendAll(kind, { all: true, by: '1d' }))).code, 'ERR_ORDER_TIMERS_NOT_IN_BULK')
    assert.equal(
      (await refused(() => loose.extendAll('order_confirm', { all: true, by: '-1d' }))).code,
      'ERR_ORDER_TIMERS_INVALID_DURATION',
    )
    assert.equal((await refused(() => loose.extendAll('order_confirm', { all: true, bye: '1d' }))).code, 'ERR_ORDER_TIMERS_INVALID_OPTION')
    const past = await refused(() => timers.scheduleAll('order_confirm', { all: true, at: new Date(Date.now() - DAY_MS), overwrite: true }))
    assert.equal(past.code, 'ERR_ORDER_TIMERS_INVALID_DEADLINE')
  })

  it('says which table is missing', async () => {
    await shop.shipped(1)
    await shop.database.client.query('DROP TABLE order_timers_runs')
    const { code, message } = await refused(() => shop.timers.extendAll('order_confirm', { all: true, by: '1d' }))
    assert.equal(code, 'ERR_ORDER_TIMERS_NOT_RECORDED')
    assert.match(message, /^orderTimers: runs are recorded in "order_timers_runs", and that table does not exist; create it/)
    assert.deepEqual(await shop.actions(), [])
  })
})
