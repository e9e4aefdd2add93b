import assert from 'node:assert/strict'
import { DataTypes } from 'sequelize'
import { ORDER_STATES } from '../../lib/admin/order-counts.js'
import { plan } from '../../lib/admin/plan.js'
import { status } from '../../lib/admin/status.js'
import { sweepOnce } from '../../lib/admin/sweep-once.js'
import { transition } from '../../lib/index.js'
import { bury } from '../support/dead-letters.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

interface Case {
  what: string
  counts: string
  /** What an ordinary sweep, and one of what is stale, make of it where that is something else. */
  swept?: string
  sweptStale?: string
  dueInMs?: number | null
  status?: number
  held?: true
  paused?: true
  failure?: 'dead' | 'retrying'
  lock?: string[]
}

const DUE = -HOUR_MS
const STALE = -8 * DAY_MS
const UPDATE = ['FOR UPDATE']

/** One order in each state, and in each pair of states that meets. */
const CASES: Case[] = [
  { what: 'overdue', counts: 'overdue', swept: 'settled', dueInMs: DUE },
  {
    what: 'overdue, its child rows being inserted',
    counts: 'overdue',
    swept: 'settled',
    dueInMs: DUE,
    lock: ['FOR KEY SHARE', 'FOR KEY SHARE'],
  },
  { what: 'a dead letter', counts: 'dead', dueInMs: DUE, failure: 'dead' },
  { what: 'dead and stale', counts: 'dead', dueInMs: STALE, failure: 'dead' },
  { what: 'dead and held', counts: 'dead', dueInMs: DUE, failure: 'dead', held: true },
  { what: 'dead and paused', counts: 'dead', dueInMs: null, failure: 'dead', paused: true },
  { what: 'dead and locked', counts: 'dead', dueInMs: DUE, failure: 'dead', lock: UPDATE },
  { what: 'dead and to come', counts: 'dead', dueInMs: HOUR_MS / 2, failure: 'dead' },
  { what: 'dead, and not in "from" any more', counts: 'dead', dueInMs: DUE, failure: 'dead', status: 5 },
  { what: 'retrying', counts: 'retrying', dueInMs: DUE, failure: 'retrying' },
  { what: 'retrying and locked', counts: 'retrying', dueInMs: DUE, failure: 'retrying', lock: UPDATE },
  { what: 'retrying and held', counts: 'held', dueInMs: DUE, failure: 'retrying', held: true },
  { what: 'retrying and stale', counts: 'stale', sweptStale: 'retrying', dueInMs: STALE, failure: 'retrying' },
  { what: 'retrying, and given a later deadline by hand', counts: 'upcoming', dueInMs: HOUR_MS / 2, failure: 'retrying' },
  { what: 'locked', counts: 'locked', dueInMs: DUE, lock: UPDATE },
  { what: 'locked by two', counts: 'locked', dueInMs: DUE, lock: ['FOR SHARE', 'FOR SHARE'] },
  { what: 'locked and held', counts: 'held', dueInMs: DUE, held: true, lock: UPDATE },
  { what: 'locked and stale', counts: 'stale', sweptStale: 'locked', dueInMs: STALE, lock: UPDATE },
  { what: 'locked and to come', counts: 'upcoming', dueInMs: HOUR_MS / 2, lock: UPDATE },
  { what: 'held', counts: 'held', dueInMs: DUE, held: true },
  { what: 'held and stale', counts: 'held', dueInMs: STALE, held: true },
  { what: 'held and to come', counts: 'held', dueInMs: HOUR_MS / 2, held: true },
  { what: 'stale', counts: 'stale', sweptStale: 'settled', dueInMs: STALE },
  { what: 'undated', counts: 'undated', dueInMs: null },
  { what: 'paused', counts: 'paused', dueInMs: null, paused: true },
  { what: 'to come', counts: 'upcoming', dueInMs: HOUR_MS / 2 },
  { what: 'to come later', counts: 'later', dueInMs: 9 * DAY_MS },
  { what: 'none of the rule', counts: 'nothing', dueInMs: null, status: 1 },
]

describe("how a rule's orders stand", () => {
  it('is counted the same by plan, status and sweep, each order once', async () => {
    const shop = await openShop(({ sequelize }) => {
      const { INTEGER, STRING, DATE, BIGINT } = DataTypes
      const attributes = { status: INTEGER, total: INTEGER, note: STRING, confirmDueAt: DATE, leftMs: BIGINT }
      const Pausable = sequelize.define('Pausable', attributes, { tableName: 'orders' })
      const where = { total: 100 }
      return {
        order_confirm: transition(Pausable, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', where, pause: { keep: 'leftMs' } }),
      }
    })
    const { client } = shop.database
    await client.query('ALTER TABLE orders ADD COLUMN "leftMs" bigint')
    const runtime = runtimeOf(shop.timers)
    const { due, failures } = runtime.keys.sets('order_confirm')
    for (const [i, { dueInMs = null, held, failure, paused, status: inStatus = 4 }] of CASES.entries()) {
      const id = i + 1
      await shop.order({
        id,
        status: inStatus,
        confirmDueAt: dueInMs === null ? null : new Date(Date.now() + dueInMs),
        total: held ? 0 : 100,
      })
      if (paused) await client.query('UPDATE orders SET "leftMs" = 1000 WHERE id = $1', [id])
      const kept = { attempts: 1, error: 'no stock', at: new Date().toISOString(), dead: false }
      if (failure === 'dead') await bury(shop.redis.client, failures, [id])
      else if (failure) await shop.redis.client.hset(failures, id, JSON.stringify(kept))
      if (failure === 'retrying') await shop.redis.client.zadd(due, Date.now() + HOUR_MS, id)
    }
    const [one, other] = [await shop.database.connect(), await shop.database.connect()]
    for (const session of [one, other]) await session.query('BEGIN')
    for (const [i, { lock = [] }] of CASES.entries())
      for (const [j, mode] of lock.entries()) await [one, other][j]?.query(`SELECT FROM orders WHERE id = ${i + 1} ${mode}`)

    const expected = (of: (one: Case) => string) => {
      const counts: Record<string, number> = {}
      for (const one of CASES) counts[of(one)] = (counts[of(one)] ?? 0) + 1
      return (name: string) => counts[name] ?? 0
    }
    const expectedNow = expected(({ counts }) => counts)
    const planned = async () => {
      const [only] = await plan(runtime)
      assert.ok(only?.census)
      const { queryMs: _, hours, samples, withinHour: __, total, ...counts } = only.census
      assert.equal(
        total,
        Object.values(counts).reduce((sum: number, count) => sum + (count ?? 0), 0),
      )
      assert.equal(
        hours.reduce((sum, { count }) => sum + count, 0),
        counts.upcoming,
      )
      return { counts, samples, total, dead: only.dead }
    }
    const first = await planned()
    for (const [name, count] of Object.entries(first.counts)) assert.equal(count, expectedNow(name), name)
    assert.deepEqual([first.total, first.dead], [CASES.length - 1, expectedNow('dead')])
    const idsOf = (counts: string) => CASES.flatMap((one, i) => (one.counts === counts ? [String(i + 1)] : []))
    assert.deepEqual(first.samples.overdue.map(({ id }) => id).sort(), idsOf('overdue').sort())
    assert.deepEqual(first.samples.stale.map(({ id }) => id).sort(), idsOf('stale').sort())

    const { rules } = await status(runtime)
    const [rule] = rules
    assert.ok(rule?.rows)
    const { pending, withinHour: _, oldestOverdue, ...rows } = rule.rows
    for (const [name, count] of Object.entries(rows)) assert.equal(count, expectedNow(name), name)
    assert.deepEqual([rule.dead, pending], [expectedNow('dead'), expectedNow('upcoming') + expectedNow('later')])
    assert.equal(
      ORDER_STATES.reduce((sum, state) => sum + (rule.rows?.[state] ?? 0), 0),
      first.total,
    ) // each order once
    assert.deepEqual(oldestOverdue, first.samples.overdue[0]?.deadline)
    assert.deepEqual((await shop.timers.dead()).map(({ id }) => id).sort(), idsOf('dead').sort())

    for (const stale of [false, true]) {
      const expectedThen = expected(({ counts, swept = counts, sweptStale = swept }) => (stale ? sweptStale : swept))
      const result = (await sweepOnce(runtime, { stale })).kinds.order_confirm
      const { settled, wasRead, failed, dryRun, brakedSince, left, toCome, ...others } = result as NonNullable<typeof result>
      assert.equal(wasRead, true)
      assert.deepEqual({ settled, failed, dryRun, brakedSince }, { settled: stale ? 1 : 2, failed: 0, dryRun: 0, brakedSince: null })
      for (const [name, count] of Object.entries(others)) assert.equal(count, expectedThen(name), `${name}, ${stale}`)
      assert.deepEqual([left, toCome], [expectedThen('overdue'), expectedNow('upcoming') + expectedNow('later')])
      const { counts, total } = await planned()
      assert.equal(counts.overdue, 0)
      assert.equal(total, first.total - (stale ? 3 : 2))
    }
    for (const session of [one, other]) await session.query('ROLLBACK')
    await shop.close()
  })

  it('is counted without failures if Redis does not answer, with a note', async () => {
    const shop = await openShop(({ Order }) => ({ order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt' }) }))
    const runtime = runtimeOf(shop.timers)
    await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - HOUR_MS) })
    await shop.redis.client.set(runtime.keys.sets('order_confirm').failures, 'no hash')
    const [only] = await plan(runtime)
    assert.deepEqual([only?.census?.overdue, only?.census?.retrying, only?.census?.dead, only?.dead], [1, undefined, undefined, undefined])
    assert.match(
      only?.notes[0] as string,
      /^Redis refused the command \(WRONGTYPE .*\); orders that failed are counted as overdue, and dead letters are not known$/,
    )
    await shop.close()
  })
})
