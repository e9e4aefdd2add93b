import assert from 'node:assert/strict'
import { type Reminder, type Rule, transition } from '../../lib/index.js'
import { HOLDS_TABLE, Holds } from '../../lib/rows/holds.js'
import { closeProxies, openProxies, workerConfig } from '../faults/own-worker.js'
import { armed, flush, NOT_ARMED } from '../support/armed.js'
import { holdsFor, inTime, waitForEvent, waitUntil } from '../support/waiting.js'
import { startWorkerProcess } from '../support/worker-process.js'
import { EVERY_SECOND, heard, openParcels, type Parcel, type ParcelShop } from './parcels.js'
import { makeRules, TOLD_TABLE } from './reminding-rules.js'

const HOUR_MS = 3_600_000
const REMINDER = 'order_confirm.reminder-2h'

type Call = { ids: number[]; keys: string[]; statuses: number[] }

describe('a reminder', () => {
  let shop: ParcelShop<{ order_confirm: Rule<'deadline', Parcel> }>
  let calls: Call[]

  afterEach(() => shop.close())

  const open = async (reminder: Partial<Reminder<Parcel>> = {}, more: object = {}) => {
    calls = []
    const run: Reminder<Parcel>['run'] = (parcels, { idempotencyKeys }) => {
      calls.push({ ids: parcels.map(({ id }) => id), keys: idempotencyKeys, statuses: parcels.map(({ status }) => status) })
    }
    const reminders = [{ before: '2h' as const, run, ...reminder }]
    shop = await openParcels((Parcels) => ({
      order_confirm: transition(Parcels, { from: 4, to: 5, deadline: 'dueAt', after: '24h', history: true, reminders, ...more }),
    }))
  }
  const keyOf = async (id: number) => `${REMINDER}:${id}:${((await shop.find(id)).dueAt as Date).getTime() - 2 * HOUR_MS}`

  it('is armed with its timer, moved by extend and schedule, stopped by a pause, and removed with it', async () => {
    await open({}, { pause: { keep: 'leftMs' } })
    const { timers, redis } = shop
    const id = await shop.parcel()
    const remindAt = async () => (await armed(redis, REMINDER, id)).due
    const scheduled = (await timers.schedule('order_confirm', id)).deadline as Date
    assert.equal(await remindAt(), scheduled.getTime() - 2 * HOUR_MS)
    await timers.extend('order_confirm', id, '1h')
    assert.equal(await remindAt(), scheduled.getTime() - HOUR_MS)
    await timers.pause('order_confirm', id)
    assert.deepEqual(await armed(redis, REMINDER, id), NOT_ARMED)
    const resumed = (await timers.resume('order_confirm', id)).deadline as Date
    assert.equal(await remindAt(), resumed.getTime() - 2 * HOUR_MS)
    await timers.cancel('order_confirm', id)
    assert.deepEqual(await armed(redis, REMINDER, id), NOT_ARMED)
  })

  it('comes at its time, once, with the order and a key; it is reported, and is in the history', async () => {
    await open()
    const worker = await shop.worker(EVERY_SECOND)
    const told = heard(worker, 'reminded')
    const id = await shop.parcel()
    const { deadline } = await shop.timers.schedule('order_confirm', id, { after: 2 * HOUR_MS + 100 })
    await waitUntil(() => told.reminded.length)
    const dueMs = (deadline as Date).getTime()
    assert.deepEqual(calls, [{ ids: [id], keys: [`${REMINDER}:${id}:${dueMs - 2 * HOUR_MS}`], statuses: [4] }])
    const [{ orders = [], ...what } = {}] = told.reminded
    assert.deepEqual(what, { kind: 'order_confirm', before: '2h', via: 'alarm' })
    assert.deepEqual(
      orders.map((order) => [order.id, order.deadline]),
      [[String(id), dueMs - 2 * HOUR_MS]],
    )
    assert.ok((orders[0]?.latenessMs as number) >= 0 && (orders[0]?.latenessMs as number) < 1000)
    const [row, ...others] = await shop.history()
    assert.deepEqual(others, [])
    assert.deepEqual(
      [row?.kind, row?.order_id, row?.reminder, row?.via, row?.deadline],
      ['order_confirm', String(id), '2h', 'alarm', deadline],
    )
    assert.ok((row?.lateness_ms as number) >= 0 && (row?.lateness_ms as number) < 1000, String(row?.lateness_ms))
    assert.equal((await shop.find(id)).status, 4)
    await waitForEvent(worker, 'swept')
    await waitForEvent(worker, 'swept')
    assert.equal(calls.length, 1)
    assert.deepEqual(worker.settled, [])
  })

  it('is held with its rule, and comes after a release that moves the deadlines; who was reminded is not reminded again', async () => {
    await open()
    for (const sql of Holds.createSql(HOLDS_TABLE)) await shop.sql(sql)
    const worker = await shop.worker(EVERY_SECOND)
    const [first, second] = [await shop.parcel(), await shop.parcel()]
    const soon = { after: 2 * HOUR_MS + 50 }
    await shop.timers.schedule('order_confirm', first, soon)
    await waitUntil(() => calls.length === 1)
    await shop.timers.hold('order_confirm', { reason: 'the provider is down' })
    await shop.timers.schedule('order_confirm', second, soon)
    await waitForEvent(worker, 'swept')
    await waitForEvent(worker, 'swept')
    assert.deepEqual(
      calls.map(({ ids }) => ids),
      [[first]],
    )
    await shop.timers.release('order_confirm', { shift: true })
    await waitUntil(() => calls.length === 2)
    await waitUntil(async () => ((await shop.find(first)).dueAt as Date).getTime() - 2 * HOUR_MS < Date.now())
    await waitForEvent(worker, 'swept')
    await waitForEvent(worker, 'swept')
    assert.deepEqual(
      calls.map(({ ids }) => ids),
      [[first], [second]],
    )
    assert.equal(calls[1]?.keys[0], await keyOf(second))
  })

  it('comes at its time also where "no timer" is a date far away', async () => {
    await open({}, { backfill: true })
    const [later, cancelled] = [await shop.parcel(3 * HOUR_MS), await shop.parcel(3 * HOUR_MS)]
    await shop.timers.cancel('order_confirm', cancelled)
    const worker = await shop.worker(EVERY_SECOND)
    const told = heard(worker, 'reminded')
    const { deadline } = await shop.timers.schedule('order_confirm', await shop.parcel(), { after: 2 * HOUR_MS + 100 })
    await waitUntil(() => told.reminded.length)
    assert.deepEqual(told.reminded[0]?.orders[0]?.deadline, (deadline as Date).getTime() - 2 * HOUR_MS)
    await shop.redis.client.set(shop.key(`${REMINDER}:${later}`), '1', 'PX', 20)
    await waitUntil(() => worker.health().kinds[REMINDER]?.early)
    const lateMs =
      ((await armed(shop.redis, REMINDER, later)).due as number) + 2 * HOUR_MS - ((await shop.find(later)).dueAt as Date).getTime()
    assert.ok(lateMs >= 0 && lateMs < 1000, `put back, late by ${lateMs}`)
    assert.equal(calls.length, 1)
  })

  it('that another worker is recording is left to that one', async () => {
    await open()
    const worker = await shop.worker({ fallback: false })
    const id = await shop.parcel(2 * HOUR_MS - 1000)
    const other = await shop.database.connect()
    await other.query('BEGIN')
    await other.query(
      "INSERT INTO order_timers_history (kind, order_id, reminder, deadline, via, worker) SELECT 'order_confirm', id::text, '2h', \"dueAt\", 'alarm', 'another' FROM parcels WHERE id = $1",
      [id],
    )
    await shop.redis.client.set(shop.key(`${REMINDER}:${id}`), '1', 'PX', 20)
    await waitUntil(async () => (await shop.sql("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")).length, {
      every: 2,
    })
    await other.query('COMMIT')
    await waitUntil(() => worker.health().kinds[REMINDER]?.gone)
    assert.deepEqual([calls, worker.health().kinds[REMINDER]?.failed, worker.faultsTold], [[], 0, []])
  })

  it('comes again for another deadline', async () => {
    await open()
    const worker = await shop.worker({ fallback: false })
    const told = heard(worker, 'reminded')
    const id = await shop.parcel()
    await shop.timers.schedule('order_confirm', id, { after: 2 * HOUR_MS + 50 })
    await waitUntil(() => told.reminded.length === 1)
    await shop.timers.extend('order_confirm', id, 500)
    await waitUntil(() => told.reminded.length === 2)
    assert.equal(new Set(calls.flatMap(({ keys }) => keys)).size, 2)
  })

  it('is found by the sweep, on rows that somebody else wrote and after Redis lost everything, across a restart of the worker', async () => {
    await open()
    const id = await shop.parcel(2 * HOUR_MS + 3000)
    const first = await shop.worker(EVERY_SECOND)
    assert.ok((await armed(shop.redis, REMINDER, id)).due, 'the horizon has it')
    await first.stop()
    await flush(shop.redis)
    const second = await shop.worker(EVERY_SECOND)
    const told = heard(second, 'reminded')
    await flush(shop.redis)
    await waitUntil(() => told.reminded.length)
    assert.deepEqual(
      calls.map(({ ids, keys }) => [ids, keys]),
      [[[id], [await keyOf(id)]]],
    )
  })

  it('is not for orders that have left "from", are paused, held by "where" or soft-deleted', async () => {
    await open({}, { where: { country: 'TW' }, pause: { keep: 'leftMs', while: { disputeOpen: true } } })
    const due = 2 * HOUR_MS - 500
    const reminded = await shop.parcel(due)
    await shop.parcel(due, { status: 5 })
    await shop.parcel(due, { disputeOpen: true })
    await shop.parcel(due, { country: 'JP' })
    await (await shop.find(await shop.parcel(due))).destroy()
    const worker = await shop.worker(EVERY_SECOND)
    await waitForEvent(worker, 'swept')
    assert.deepEqual(
      calls.map(({ ids }) => ids),
      [[reminded]],
    )
  })

  it('that is late by more than its "staleAfter", half of "before" unless said, is dropped; and it never comes after the deadline', async () => {
    await open()
    const fresh = await shop.parcel(HOUR_MS + 60_000)
    await shop.parcel(HOUR_MS - 60_000)
    await shop.parcel(-1000)
    const worker = await shop.worker(EVERY_SECOND)
    await waitForEvent(worker, 'swept')
    assert.deepEqual(
      calls.map(({ ids }) => ids),
      [[fresh]],
    )
    await worker.stop()
    await shop.close()

    await open({ staleAfter: '1m' })
    const [late, ontime] = [await shop.parcel(2 * HOUR_MS - 90_000), await shop.parcel(2 * HOUR_MS - 30_000)]
    await shop.worker()
    assert.deepEqual(
      calls.map(({ ids }) => ids),
      [[ontime]],
    )
    assert.equal((await shop.find(late)).status, 4)
  })

  it('that fails is reported, and not tried again', async () => {
    await open({
      run: () => {
        throw new Error('no mail today')
      },
    })
    const worker = await shop.worker(EVERY_SECOND)
    const told = heard(worker, 'failed', 'reminded')
    const id = await shop.parcel(2 * HOUR_MS + 200)
    await waitUntil(() => told.failed.length)
    await waitForEvent(worker, 'swept')
    await waitForEvent(worker, 'swept')
    assert.deepEqual(
      told.failed.map(({ error, ...failed }) => [failed, (error as Error).message]),
      [[{ kind: REMINDER, id: String(id), attempts: 1, retryInMs: null }, 'no mail today']],
    )
    assert.deepEqual(told.reminded, [])
    assert.equal(worker.health().kinds[REMINDER]?.failed, 1)
    assert.equal((await shop.find(id)).status, 4)
  })

  it('that takes longer than the timeout is given up, and not tried again either', async () => {
    let started = 0
    await open(
      {
        run: () => {
          started += 1
          return new Promise(() => {})
        },
      },
      { timeout: 300 },
    )
    const worker = await shop.worker(EVERY_SECOND)
    const told = heard(worker, 'failed')
    await shop.timers.schedule('order_confirm', await shop.parcel(), { after: 2 * HOUR_MS + 50 })
    await waitUntil(() => told.failed.length)
    assert.deepEqual(
      [told.failed[0]?.retryInMs, `${told.failed[0]?.error}`],
      [null, `Error: "${REMINDER}" took longer than its timeout of 300 ms`],
    )
    await waitForEvent(worker, 'swept')
    await holdsFor(300, () => started === 1 && told.failed.length === 1)
  })

  it('is there for "since" too, several at once', async () => {
    const before: string[] = []
    const note = (label: string) => (parcels: Parcel[]) => void before.push(...parcels.map(({ id }) => `${label} ${id}`))
    const since = await openParcels((Parcels) => ({
      order_pay: transition(Parcels, {
        from: 1,
        to: 0,
        since: 'placedAt',
        after: '15m',
        history: true,
        reminders: [
          { before: '10m', run: note('10m') },
          { before: 60_000, run: note('1m') },
        ],
      }),
    }))
    shop = since as never
    const placed = (minutes: number) => shop.parcel(null, { status: 1, placedAt: new Date(Date.now() - minutes * 60_000) })
    const [soon, last] = [await placed(5.5), await placed(14.2)]
    const fresh = await shop.parcel(null, { status: 1 })
    await since.timers.schedule('order_pay', fresh)
    assert.ok((await armed(shop.redis, 'order_pay.reminder-10m', fresh)).due)
    assert.ok((await armed(shop.redis, 'order_pay.reminder-60000ms', fresh)).due)
    await shop.worker()
    assert.deepEqual(before.sort(), [`10m ${soon}`, `1m ${last}`])
  })

  it('comes once though two workers come across it, and though one is killed between its commit and the telling', async () => {
    shop = await openParcels((_, sequelize) => makeRules(undefined, sequelize))
    await shop.sql(TOLD_TABLE)
    const proxies = await openProxies(shop)
    const rules = new URL('./reminding-rules.ts', import.meta.url).href
    const dying = await startWorkerProcess({ ...workerConfig(shop, 'worker 1', proxies), rules })
    const point = proxies.postgres.hold('INSERT INTO told')
    const first = await shop.parcel(2 * HOUR_MS + 200)
    await shop.timers.schedule('order_confirm', first, { at: (await shop.find(first)).dueAt as Date })
    await inTime(point.seen, 8000, 'the worker to come to its telling')
    await dying.kill()
    const survivors = await Promise.all(['worker 2', 'worker 3'].map((name) => startWorkerProcess({ ...workerConfig(shop, name), rules })))
    const ids: number[] = []
    for (let n = 0; n < 20; n++) ids.push(await shop.parcel(2 * HOUR_MS + 1000))
    const told = async () => (await shop.sql("SELECT split_part(key, ':', 2)::int AS id FROM told ORDER BY 1")).map(({ id }) => id)
    await waitUntil(async () => (await told()).length >= ids.length)
    await holdsFor(1500, async () => (await told()).length === ids.length, { every: 100 })
    assert.deepEqual(await told(), ids)
    assert.equal((await shop.history()).length, ids.length + 1)
    for (const survivor of survivors) assert.equal(await survivor.stop(), 0)
    await closeProxies(proxies)
  }).timeout(40_000)
})
