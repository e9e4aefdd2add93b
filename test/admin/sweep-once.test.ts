import assert from 'node:assert/strict'
import { releaseBrake } from '../../lib/admin/release.js'
import { type FailedOrder, type SweepOptions, sweepOnce } from '../../lib/admin/sweep-once.js'
import { sweepText } from '../../lib/cli/sweep-text.js'
import { transition } from '../../lib/index.js'
import { Brake } from '../../lib/rows/brake.js'
import { sweepLockName } from '../../lib/rows/sweep-lock.js'
import type { Database } from '../support/database.js'
import { freePort } from '../support/free-port.js'
import { refusal, refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop, type ShopOptions } from '../support/shop.js'

const DAY_MS = 86_400_000
const CONFIRM = { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' } as const

type ShopRules = Parameters<typeof openShop>[0]

describe('a sweep by hand', () => {
  let shop: Shop<never>

  afterEach(() => shop.close())

  const open = async (rules: ShopRules, options: ShopOptions = {}) => {
    shop = (await openShop(rules, options)) as unknown as Shop<never>
  }
  /** Shipped orders that are overdue by so much each. */
  const overdue = async (...byMs: number[]) => {
    const orders = byMs.map((ms) => ({ status: 4, confirmDueAt: new Date(Date.now() - ms) }))
    return (await shop.database.Order.bulkCreate(orders, { returning: true })).map(({ id }) => id)
  }
  const sweep = (options: SweepOptions = {}) => sweepOnce(runtimeOf(shop.timers), options)
  const statuses = async () => (await shop.database.Order.findAll({ order: ['id'] })).map(({ status }) => status)
  const confirm = ({ Order }: Database) => ({ order_confirm: transition(Order, CONFIRM) })

  it('settles what is overdue, leaves what is stale or to come, and arms what comes soon', async () => {
    await open(confirm)
    await overdue(60_000, 8 * DAY_MS, -600_000)
    const { kinds, faults, claimed } = await sweep()
    assert.deepEqual(await statuses(), [5, 4, 4])
    assert.deepEqual([kinds.order_confirm?.settled, faults, claimed], [1, [], true])
    assert.deepEqual(await shop.redis.client.zrange(`${shop.redis.prefix}order-timers:{order_confirm}:due`, '0', '-1'), ['3'])
  })

  it('settles what "staleAfter" holds back, in batches, each once, and nothing that is to come', async () => {
    await open(confirm)
    await overdue(...Array.from({ length: 2_500 }, (_, i) => 8 * DAY_MS + i), -600_000)
    const { kinds, faults } = await sweep({ stale: true })
    assert.deepEqual([kinds.order_confirm?.settled, faults], [2_500, []])
    assert.deepEqual((await shop.database.ledger.twice()).length + (await shop.database.ledger.early()).length, 0)
    const left = (await statuses()).filter((status) => status === 4)
    assert.equal(left.length, 1)
    assert.equal((await sweep({ stale: true })).kinds.order_confirm?.settled, 0)
  })

  it('settles each order once when two run at the same time', async () => {
    await open(confirm)
    await overdue(...Array.from({ length: 2_500 }, (_, i) => 8 * DAY_MS + i))
    const worker = await shop.worker({ fallback: false })
    const both = await Promise.all([sweep({ stale: true }), sweep({ stale: true })])
    assert.equal(
      both.reduce((sum, { kinds }) => sum + (kinds.order_confirm?.settled ?? 0), 0),
      2_500,
    )
    assert.deepEqual(await shop.database.ledger.twice(), [])
    assert.deepEqual(worker.settled, [])
  })

  it('does so without Redis too, and says so', async () => {
    await open(confirm, { redis: `redis://127.0.0.1:${await freePort()}` })
    await overdue(8 * DAY_MS)
    const { kinds, claimed } = await sweep({ stale: true })
    assert.deepEqual([kinds.order_confirm?.settled, claimed], [1, false])
  })

  it('covers only the given rule', async () => {
    await open(({ Order }) => ({
      order_confirm: transition(Order, CONFIRM),
      order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
    }))
    await overdue(8 * DAY_MS)
    await shop.order({ status: 1, createdAt: new Date(Date.now() - 30 * DAY_MS) })
    const { kinds } = await sweep({ stale: true, kind: 'order_pay' })
    assert.deepEqual([Object.keys(kinds), await statuses()], [['order_pay'], [4, 0]])
    const message = 'orderTimers: there is no rule "order_cofirm"; the rules are "order_confirm", "order_pay"'
    assert.deepEqual(await refused(() => sweep({ kind: 'order_cofirm' })), refusal('UNKNOWN_KIND', 400, message))
  })

  it('names the order that failed, and settles the rest', async () => {
    await open(({ Order }) => ({
      order_confirm: transition(Order, {
        ...CONFIRM,
        run: (orders) => {
          if (orders.some(({ id }) => id === 2)) throw new Error('no stock')
        },
      }),
    }))
    await overdue(8 * DAY_MS, 8 * DAY_MS, 8 * DAY_MS)
    const failed: FailedOrder[] = []
    const { kinds } = await sweep({ stale: true, onFailed: (one) => failed.push(one) })
    assert.deepEqual(await statuses(), [5, 4, 5])
    const { settled, failed: attempts, retrying, left } = kinds.order_confirm ?? {}
    assert.deepEqual({ settled, attempts, retrying, left }, { settled: 2, attempts: 1, retrying: 1, left: 0 })
    assert.deepEqual(
      failed.map(({ kind, id, error }) => [kind, id, (error as Error).message]),
      [['order_confirm', '2', 'no stock']],
    )
  })

  it('counts rows that somebody has locked, and leaves them', async () => {
    await open(confirm)
    await overdue(8 * DAY_MS, 8 * DAY_MS)
    const other = await shop.database.connect()
    await other.query('BEGIN; SELECT FROM orders WHERE id = 1 FOR UPDATE')
    const { kinds } = await sweep({ stale: true })
    assert.deepEqual([kinds.order_confirm?.settled, kinds.order_confirm?.locked], [1, 1])
    await other.query('ROLLBACK')
    assert.equal((await sweep({ stale: true })).kinds.order_confirm?.settled, 1)
  })

  it('says of orders that it could not read that another session has the lock, and not that a worker settles them', async () => {
    await open(confirm)
    await overdue(60_000)
    const holder = await shop.database.connect()
    const { table = '' } = runtimeOf(shop.timers).rule('order_confirm').row?.guard.table ?? {}
    const lock = sweepLockName(shop.redis.prefix, 'order_confirm', table)
    await holder.query('SELECT pg_advisory_lock(hashtextextended(concat($1::text, current_schema()), 0))', [lock])
    const result = await sweep()
    const { settled, left, wasRead } = result.kinds.order_confirm ?? {}
    assert.deepEqual({ settled, left, wasRead }, { settled: 0, left: 1, wasRead: false })
    assert.match(sweepText(result), /order_confirm: 1 are left: another session has the sweep's lock, and nothing was read/)
    await holder.query('SELECT pg_advisory_unlock_all()')
    assert.deepEqual((await sweep()).kinds.order_confirm?.wasRead, true)
    assert.deepEqual(await statuses(), [5])
  })

  it('stops at the brake, says since when, and continues after a release', async () => {
    await open(({ Order }) => ({ order_confirm: transition(Order, { ...CONFIRM, brake: { max: 2, per: '1h' } }) }))
    for (const sql of Brake.createSql('order_timers_brakes')) await shop.database.client.query(sql)
    await overdue(8 * DAY_MS, 8 * DAY_MS, 8 * DAY_MS)
    const { kinds, faults } = await sweep({ stale: true })
    assert.deepEqual([kinds.order_confirm?.settled, faults.map(({ code }) => code)], [2, ['BRAKED']])
    assert.ok(kinds.order_confirm?.brakedSince instanceof Date)
    assert.equal((await sweep({ stale: true })).kinds.order_confirm?.settled, 0)

    const runtime = runtimeOf(shop.timers)
    assert.equal((await releaseBrake(runtime, 'order_confirm')).wasStopped, true)
    assert.equal((await releaseBrake(runtime, 'order_confirm')).wasStopped, false)
    const swept = (await sweep({ stale: true })).kinds.order_confirm
    assert.deepEqual([swept?.settled, swept?.left, swept?.brakedSince], [1, 0, null])
    assert.deepEqual(await statuses(), [5, 5, 5])
  })

  it('settles nothing under "dryRun", and counts what it would settle', async () => {
    await open(({ Order }) => ({ order_confirm: transition(Order, { ...CONFIRM, dryRun: true }) }))
    await overdue(8 * DAY_MS)
    const { kinds } = await sweep({ stale: true })
    assert.deepEqual([kinds.order_confirm?.settled, kinds.order_confirm?.dryRun, await statuses()], [0, 1, [4]])
  })

  it('gives no order a deadline while it settles what is stale', async () => {
    await open(({ Order }) => ({ order_confirm: transition(Order, { ...CONFIRM, backfill: { since: 'createdAt' } }) }))
    await shop.order({ status: 4, createdAt: new Date(Date.now() - 30 * DAY_MS) })
    await sweep({ stale: true })
    assert.deepEqual(await statuses(), [4])
  })

  it('refuses if the timers are switched off', async () => {
    await open(confirm, { enabled: false })
    const { code, message } = await refused(() => sweep())
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_OPTION')
    assert.match(message, /switched off/)
  })

  it('sweeps each rule by itself: one that cannot be bound, or whose table lacks something, keeps no other one from it', async () => {
    const wrong = {
      'an attribute that is misspelt': ({ Order }: Database) =>
        transition(Order, { ...CONFIRM, from: 2, deadline: 'payDeu' as 'confirmDueAt' }),
      'a model that comes too late': () =>
        transition(() => undefined as unknown as Database['Order'], { ...CONFIRM, deadline: 'createdAt' as 'confirmDueAt' }),
      'a status that is none': ({ Order }: Database) =>
        transition(Order, { ...CONFIRM, from: 'paid' as unknown as number, deadline: 'createdAt' as 'confirmDueAt' }),
      'a table that is not there': ({ Order, sequelize }: Database) =>
        transition(sequelize.define('Nowhere', { ...Order.getAttributes() }) as unknown as typeof Order, CONFIRM),
    }
    for (const [what, rule] of Object.entries(wrong)) {
      for (const stale of [false, true]) {
        await open((database) => ({ order_wrong: rule(database), ...confirm(database) }))
        await overdue(stale ? 8 * DAY_MS : 60_000)
        const { kinds, faults } = await sweep({ stale })
        assert.deepEqual([kinds.order_confirm?.settled, await statuses()], [1, [5]], what)
        assert.deepEqual([...new Set(faults.map(({ kind }) => kind))], ['order_wrong'], what)
        assert.match(faults[0]?.message as string, /order_wrong/, what)
        await shop.close()
      }
    }
    await open(confirm)
  })

  it('settles nothing by two rules of one deadline, nor what would start the timer of a rule that is wrong', async () => {
    const late =
      ({ Order }: Database) =>
      () =>
        Order
    await open((database) => ({ ...confirm(database), order_again: transition(late(database), { ...CONFIRM, from: 3 }) }))
    await overdue(60_000)
    assert.equal((await refused(() => sweep())).code, 'ERR_ORDER_TIMERS_SHARED_DEADLINE')
    await shop.close()
    await open((database) => ({
      ...confirm(database),
      order_wrong: transition(database.Order, { from: 5, to: 6, deadline: 'payDeu' as 'confirmDueAt', after: '1h', auto: true }),
    }))
    await overdue(60_000)
    const { kinds, faults } = await sweep()
    assert.deepEqual([kinds, await statuses()], [{}, [4]])
    assert.deepEqual(
      faults.map(({ kind, code }) => [kind, code]),
      [
        ['order_confirm', 'INVALID_MODEL'],
        ['order_wrong', 'INVALID_MODEL'],
      ],
    )
    assert.match(faults[0]?.message as string, /^orderTimers: rule "order_confirm" is not settled, since .*"order_wrong": .*payDeu/)
  })

  it('says what it could not read, and the remedy', async () => {
    await open(confirm)
    await shop.database.client.query('ALTER TABLE orders DROP COLUMN "confirmDueAt" CASCADE')
    const { faults } = await sweep()
    assert.deepEqual(
      faults.map(({ code }) => code),
      ['INVALID_MODEL'],
    )
    assert.match(faults[0]?.message as string, /ADD COLUMN "confirmDueAt" timestamptz/)
  })
})
