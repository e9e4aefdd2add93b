import assert from 'node:assert/strict'
import { DataTypes } from 'sequelize'
import { plan, type RulePlan } from '../../lib/admin/plan.js'
import { transition } from '../../lib/index.js'
import { openProject, timersModule } from '../support/command-line.js'
import { type Database, openDatabase } from '../support/database.js'
import { freePort } from '../support/free-port.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

describe('the plan', () => {
  let database: Database

  beforeEach(async () => {
    database = await openDatabase()
  })

  afterEach(() => database.close())

  /** Orders that are shipped, each with a deadline so far from now. */
  const shipped = (...fromNowMs: number[]) =>
    database.Order.bulkCreate(fromNowMs.map((ms) => ({ status: 4, confirmDueAt: new Date(Date.now() + ms) })))
  const planned = async (rules: Parameters<typeof makeTimers>[0], days?: number) => {
    const timers = makeTimers(rules, { redis: false })
    try {
      return await plan(runtimeOf(timers), days === undefined ? {} : { days })
    } finally {
      await timers.close()
    }
  }

  it('says how many would be settled at once, how many are stale, and how many come due in each hour', async () => {
    await shipped(-60_000, -2 * HOUR_MS, -8 * DAY_MS, -9 * DAY_MS, -10 * DAY_MS, 30 * HOUR_MS, 30 * HOUR_MS, 50 * HOUR_MS, 4 * DAY_MS)
    await database.Order.bulkCreate([{ status: 4 }, { status: 1, confirmDueAt: new Date(0) }])
    const { order_confirm } = oneOfEach(database)
    const [only, ...others] = await planned({ order_confirm })
    assert.deepEqual(others, [])
    assert.equal(only?.kind, 'order_confirm')
    const { hours, samples, queryMs, ...figures } = only.census as NonNullable<typeof only.census>
    assert.deepEqual(figures, {
      ...{ overdue: 2, retrying: undefined, locked: 0, dead: undefined, stale: 3, undated: 1, paused: 0, held: 0, unverified: 0 },
      ...{ upcoming: 3, later: 1, withinHour: 0, total: 10 },
    })
    const expected = new Map<number, number>()
    for (const { confirmDueAt } of await database.Order.findAll({ where: { id: [6, 7, 8] } })) {
      const hour = Math.floor((confirmDueAt as Date).getTime() / HOUR_MS) * HOUR_MS
      expected.set(hour, (expected.get(hour) ?? 0) + 1)
    }
    assert.deepEqual(new Map(hours.map(({ from, count }) => [from.getTime(), count])), expected)
    assert.deepEqual(
      [samples.overdue, samples.stale, samples.upcoming].map((some) => some.map(({ id }) => id)),
      [
        ['2', '1'],
        ['5', '4', '3'],
        ['6', '7', '8', '9'],
      ],
    )
    const { confirmDueAt } = await database.Order.findByPk(2, { rejectOnEmpty: true })
    assert.deepEqual(samples.overdue[0]?.deadline, confirmDueAt)
    assert.ok(queryMs > 0)
    assert.deepEqual(only.notes, ['orders without a deadline are never settled; "backfill" would give them one'])
  })

  it('shows at most five of each, and the given number of days', async () => {
    await shipped(...Array.from({ length: 7 }, (_, i) => -(i + 1) * 60_000), 30 * HOUR_MS)
    const { order_confirm } = oneOfEach(database)
    const [day, days] = [await planned({ order_confirm }, 1), await planned({ order_confirm }, 2)]
    assert.deepEqual(
      day[0]?.census?.samples.overdue.map(({ id }) => id),
      ['7', '6', '5', '4', '3'],
    )
    assert.deepEqual([day[0]?.census?.upcoming, day[0]?.census?.later], [0, 1])
    assert.deepEqual([days[0]?.census?.upcoming, days[0]?.census?.later], [1, 0])
  })

  it('computes deadlines that follow from another column, and says if no row has any', async () => {
    await database.Order.bulkCreate([{ createdAt: new Date(Date.now() - HOUR_MS) }, { createdAt: new Date() }, { status: 2 }])
    const { order_pay, order_ship, order_other } = oneOfEach(database)
    const [pay, ship, other] = await planned({ order_pay, order_ship, order_other })
    assert.deepEqual([pay?.census?.overdue, pay?.census?.upcoming, pay?.census?.withinHour], [1, 1, 1])
    for (const inRedis of [ship, other])
      assert.deepEqual([inRedis?.census, inRedis?.notes], [undefined, ['its deadlines are only in Redis, so no row says what is due']])
  })

  it('separates what "where" or a pause holds back from what would be settled', async () => {
    await database.client.query('ALTER TABLE orders ADD COLUMN "leftMs" bigint')
    const { INTEGER, STRING, DATE, BIGINT } = DataTypes
    const attributes = { status: INTEGER, total: INTEGER, note: STRING, confirmDueAt: DATE, leftMs: BIGINT }
    const Pausable = database.sequelize.define('Pausable', attributes, { tableName: 'orders' })
    const due = new Date(Date.now() - 60_000)
    await database.Order.bulkCreate([
      { status: 4, confirmDueAt: due },
      { status: 4, confirmDueAt: due, total: 0 },
      { status: 4, confirmDueAt: due, note: 'dispute' },
      { status: 4, total: 0 },
      { status: 4 },
    ])
    await database.client.query('UPDATE orders SET "leftMs" = 1000 WHERE id = 5')
    const pause = { keep: 'leftMs', while: { note: 'dispute' } }
    const [only] = await planned({
      order_confirm: transition(Pausable, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', where: { total: 100 }, pause }),
    })
    const { overdue, held, paused, undated } = only?.census ?? {}
    assert.deepEqual({ overdue, held, paused, undated }, { overdue: 1, held: 2, paused: 1, undated: 0 })
  })

  it('counts orders without a deadline under the one that "backfill" will give them', async () => {
    await database.Order.bulkCreate([
      { status: 4, createdAt: new Date(Date.now() - 25 * HOUR_MS) },
      { status: 4, createdAt: new Date(Date.now() - 30 * DAY_MS) },
      { status: 4 },
      { status: 4, confirmDueAt: new Date('9999-12-31T00:00:00Z') },
    ])
    const [only] = await planned({
      order_confirm: transition(database.Order, {
        from: 4,
        to: 5,
        deadline: 'confirmDueAt',
        after: '24h',
        backfill: { since: 'createdAt' },
      }),
    })
    const { overdue, stale, upcoming, undated, samples } = only?.census ?? {}
    assert.deepEqual({ overdue, stale, upcoming, undated }, { overdue: 1, stale: 1, upcoming: 1, undated: 1 })
    assert.deepEqual([samples?.overdue[0]?.id, samples?.stale[0]?.id, samples?.upcoming.map(({ id }) => id)], ['1', '2', ['3']])
    assert.deepEqual(only?.notes, ['backfill: orders without a deadline are counted under the deadline that they will get'])
  })

  it('names the missing column of a rule, shows the other rules, and ends with 1', async () => {
    await database.client.query('ALTER TABLE orders DROP COLUMN "confirmDueAt" CASCADE')
    await database.Order.sequelize?.query(
      `INSERT INTO orders (status, "createdAt", "updatedAt") VALUES (1, now() - interval '1 hour', now())`,
    )
    const project = await openProject()
    const unknown = "order_return: transition(Order, { from: 6, to: 7, deadline: 'returnDueAt', after: '24h' })"
    const rules =
      "order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }), order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' })"
    await project.write('timers.mjs', timersModule(database, `${unknown}, ${rules}`))
    const { status, stdout, stderr } = await project.orderTimers('plan')
    assert.deepEqual([status, stderr], [1, ''])
    assert.match(stdout, /^order_return\n {2}could not be read: .*"returnDueAt", which Order does not have/)
    assert.match(stdout, /^order_confirm\n {2}could not be read: .*has no column "confirmDueAt"; add it with ALTER TABLE/m)
    assert.match(stdout, /^order_pay\n {2}settled at once +1 /m)
    const { rules: found } = JSON.parse((await project.orderTimers('plan', '--json')).stdout)
    assert.deepEqual(
      found.map(({ kind, problem, unreachable, census }: RulePlan) => [kind, typeof problem, unreachable, census?.overdue]),
      [
        ['order_return', 'string', false, undefined],
        ['order_confirm', 'string', false, undefined],
        ['order_pay', 'undefined', false, 1],
      ],
    )
    await project.close()
  })

  it('says that Postgres does not answer, and ends with 3', async () => {
    const project = await openProject()
    const away = { url: `postgres://postgres@127.0.0.1:${await freePort()}/postgres`, schema: 'public' }
    await project.write(
      'timers.mjs',
      timersModule(away, "order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' })"),
    )
    const { status, stdout } = await project.orderTimers('plan')
    assert.equal(status, 3)
    assert.match(stdout, /^order_pay\n {2}could not be read: Postgres does not answer \(connect ECONNREFUSED/)
    await project.close()
  })

  it('says that a brake would stop it, and that a rule under "dryRun" settles nothing', async () => {
    await shipped(-60_000, -60_000)
    const common = { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' } as const
    const brake = { max: 1, per: '1h' } as const
    const [braked] = await planned({ order_confirm: transition(database.Order, { ...common, brake }) })
    assert.deepEqual(braked?.notes, ['brake: it stops after 1 orders, until it is released'])
    const [dryRun] = await planned({ order_confirm: transition(database.Order, { ...common, dryRun: true }) })
    assert.deepEqual(dryRun?.notes, ['dryRun: it settles nothing'])
  })

  it('answers within 2 s for 200,000 stale and 50,000 coming orders, and changes nothing', async function () {
    this.timeout(120_000)
    const columns = '(status, "confirmDueAt", "createdAt", "updatedAt")'
    await database.client.query(`INSERT INTO orders ${columns}
      SELECT 4, now() - interval '30 days' - n * interval '1 minute', now(), now() FROM generate_series(1, 200000) AS n`)
    await database.client.query(`INSERT INTO orders ${columns}
      SELECT 4, now() + interval '1 minute' + n * interval '4 seconds', now(), now() FROM generate_series(1, 50000) AS n`)
    // Whole rows, and what a lock alone would leave on them.
    const checksum = async () =>
      (await database.client.query(`SELECT md5(string_agg(orders::text || xmin || xmax || ctid, ',' ORDER BY id)) AS sum FROM orders`))
        .rows[0].sum as string
    const project = await openProject()
    await project.write(
      'timers.mjs',
      timersModule(database, "order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' })"),
    )
    const before = await checksum()
    const startedAt = performance.now()
    const { status, stdout, stderr } = await project.orderTimers('plan', '--json')
    const tookMs = performance.now() - startedAt
    assert.equal(await checksum(), before)
    assert.equal(status, 0, stderr)
    const { rules } = JSON.parse(stdout)
    const { stale, overdue, upcoming, later, hours, queryMs } = rules[0].census
    assert.deepEqual({ stale, overdue, upcoming, later }, { stale: 200_000, overdue: 0, upcoming: 50_000, later: 0 })
    assert.equal(
      hours.reduce((sum: number, { count }: { count: number }) => sum + count, 0),
      50_000,
    )
    console.log(`      plan of 250,000 orders: ${Math.round(queryMs)} ms in Postgres, ${Math.round(tookMs)} ms with all of the process`)
    assert.ok(queryMs < 2_000, `${queryMs} ms`)
    await project.close()
  })
})
