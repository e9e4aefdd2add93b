import assert from 'node:assert/strict'
import { planRule } from '../../lib/admin/plan.js'
import { type TimerCalls, transition } from '../../lib/index.js'
import { HOLDS_TABLE, type Hold, Holds } from '../../lib/rows/holds.js'
import type { RowRule } from '../../lib/rows/row-rule.js'
import { refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'
import { EVERY_SECOND, openParcels, type ParcelShop, type Parcels } from './parcels.js'

const CONFIRM = { from: 4, to: 5, deadline: 'dueAt', after: '24h' } as const
const WHY = { reason: 'the provider is down', by: 'on call' }
const HOUR_MS = 3_600_000

const rulesOf = (Parcel: Parcels) => ({
  order_confirm: transition(Parcel, { ...CONFIRM, brake: { max: 100, per: '1h' } }),
  order_pay: transition(Parcel, { from: 1, to: 0, since: 'placedAt', after: '15m' }),
  order_ship: transition(Parcel, { from: 2, to: 0, deadline: false, after: '24h' }),
  order_slow: transition(Parcel, {
    ...{ from: 3, to: 5, since: 'placedAt', after: '1s' },
    run: async () => {
      running = true
      await mayFinish
    },
  }),
  order_old: transition(Parcel, { from: 6, to: 0, since: 'placedAt', after: '1s', staleAfter: '30m' }),
  order_few: transition(Parcel, { from: 7, to: 0, since: 'placedAt', after: '1s', brake: { max: 1, per: '1s' } }),
  order_other: async () => {},
})

let running = false
let finish = () => {}
let mayFinish: Promise<void>

async function refuses(call: () => Promise<unknown>, name: string, message = /./): Promise<void> {
  const refusal = await refused(call)
  assert.equal(refusal.code, `ERR_ORDER_TIMERS_${name}`, refusal.message)
  assert.match(refusal.message, message)
}

describe('hold', () => {
  let shop: ParcelShop<ReturnType<typeof rulesOf>>

  beforeEach(async () => {
    running = false
    mayFinish = new Promise((resolve) => {
      finish = resolve
    })
    shop = await openParcels(rulesOf)
  })

  afterEach(() => {
    finish()
    return shop.close()
  })

  const migrate = async () => {
    for (const sql of Holds.createSql(HOLDS_TABLE)) await shop.sql(sql)
  }
  const statusOf = async (id: number) => (await shop.find(id)).status
  const unpaid = () => shop.parcel(null, { status: 1, placedAt: new Date(Date.now() - HOUR_MS) })
  const slow = () => shop.parcel(null, { status: 3, placedAt: new Date(Date.now() - HOUR_MS) })
  const later = async () => {
    const id = await shop.parcel(null)
    await shop.timers.schedule('order_confirm', id, { after: 50 })
    return id
  }

  it('keeps a kind from being settled by every path, and no other; released, it is settled at once', async () => {
    await migrate()
    const held = await shop.timers.hold('order_confirm', WHY)
    assert.deepEqual(
      { ...held, since: held.since instanceof Date },
      { kind: 'order_confirm', ...WHY, since: true, state: 'held', until: null, opensAt: null },
    )
    const [overdue, other] = [await shop.parcel(-1000), await unpaid()]
    const worker = await shop.worker(EVERY_SECOND)
    const byAlarm = await later()
    await waitForEvent(worker, 'swept')
    await waitForEvent(worker, 'swept')
    await waitUntil(async () => (await statusOf(other)) === 0)
    assert.deepEqual([await statusOf(overdue), await statusOf(byAlarm)], [4, 4])
    assert.deepEqual([worker.deadTold, worker.faultsTold, await shop.timers.dead()], [[], [], []], 'it is no failure')
    assert.equal(await shop.timers.release('order_confirm'), true)
    await waitUntil(async () => (await statusOf(overdue)) === 5 && (await statusOf(byAlarm)) === 5)
    assert.equal(await shop.timers.release('order_confirm'), false)
  })

  it('holds timers that are only in Redis: they wait there', async () => {
    await migrate()
    const worker = await shop.worker(EVERY_SECOND)
    await shop.timers.hold('order_ship', WHY)
    const id = await shop.parcel(null, { status: 2 })
    await shop.timers.schedule('order_ship', id, { after: 20 })
    await waitForEvent(worker, 'swept')
    await waitForEvent(worker, 'swept')
    assert.equal(await statusOf(id), 2)
    assert.deepEqual(await shop.timers.dead(), [])
    await shop.timers.release('order_ship')
    await waitUntil(async () => (await statusOf(id)) === 0)
  })

  it('is noticed by a worker that began before the table was there', async () => {
    const worker = await shop.worker(EVERY_SECOND)
    const first = await later()
    await waitUntil(async () => (await statusOf(first)) === 5)
    await migrate()
    await shop.timers.hold('order_confirm', WHY)
    const second = await later()
    await waitForEvent(worker, 'swept')
    await waitForEvent(worker, 'swept')
    assert.equal(await statusOf(second), 4)
    await shop.sql(`DROP TABLE ${HOLDS_TABLE}`)
    await waitUntil(async () => (await statusOf(second)) === 5)
  })

  it('is committed before it waits for what is being settled, and returns once that has ended', async () => {
    await migrate()
    const [id, next] = [await slow(), await slow()]
    const started = shop.worker(EVERY_SECOND) // its first sweep waits for what it settles
    await waitUntil(() => running)
    let returned = false
    const holding = shop.timers.hold('order_slow', WHY).then(() => {
      returned = true
    })
    await waitUntil(async () => (await shop.sql(`SELECT 1 FROM ${HOLDS_TABLE}`)).length === 1, { within: 1_500 })
    assert.deepEqual([returned, await statusOf(id)], [false, 3])
    finish()
    await holding
    assert.equal(await statusOf(id), 5)
    assert.equal(await statusOf(next), 5, 'of the same batch')
    await started
  })

  it('reports if that takes too long; the hold stays', async () => {
    await migrate()
    const id = await slow()
    const started = shop.worker(EVERY_SECOND)
    await waitUntil(() => running)
    await refuses(() => shop.timers.hold('order_slow', WHY), 'HOLD_IN_FLIGHT', /1 transactions that began before/)
    await refuses(() => shop.timers.hold('order_slow', WHY), 'ALREADY_HELD', /by on call \(the provider is down\)/)
    finish()
    await started
    assert.equal(await statusOf(id), 5)
  })

  it('waits also for what began before the table of holds was there', async () => {
    const id = await slow()
    const started = shop.worker(EVERY_SECOND)
    await waitUntil(() => running)
    await migrate()
    await refuses(() => shop.timers.hold('order_slow', WHY), 'HOLD_IN_FLIGHT', /1 transactions that began before/)
    finish()
    await started
    assert.equal(await statusOf(id), 5)
  })

  it('says that it stands where Postgres ends its wait', async () => {
    await migrate()
    await slow()
    const started = shop.worker(EVERY_SECOND)
    await waitUntil(() => running)
    const waits = `FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND NOT granted AND query LIKE 'SELECT pg_advisory_xact_lock(%'`
    const ended = waitUntil(async () => (await shop.sql(`SELECT pg_terminate_backend(pid) ${waits}`)).length > 0)
    await refuses(() => shop.timers.hold('order_slow', WHY), 'HOLD_IN_FLIGHT', /is held, and Postgres did not say whether anything/)
    await ended
    finish()
    await started
    await refuses(() => shop.timers.hold('order_slow', WHY), 'ALREADY_HELD')
  })

  it('moves each deadline that was to come by its length, to the millisecond, and no other', async () => {
    await migrate()
    const [past, future, other] = [await shop.parcel(-1000), await shop.parcel(HOUR_MS), await unpaid()]
    const [, none] = [await shop.parcel(HOUR_MS), await shop.parcel(null)]
    const dueAt = async (id: number) => (await shop.find(id)).dueAt?.getTime()
    const before = await Promise.all([past, future, none].map(dueAt))
    await shop.timers.hold('order_confirm', WHY)
    await shop.timers.release('order_confirm', { shift: true })
    const [hold] = await shop.sql(`SELECT state, length_ms::int AS length, moved::int AS moved FROM ${HOLDS_TABLE}`)
    const length = hold?.length as number
    assert.deepEqual([hold?.state, hold?.moved, length > 0], ['released', 2, true])
    assert.deepEqual(await Promise.all([past, future, none].map(dueAt)), [before[0], (before[1] as number) + length, undefined])
    assert.equal(await statusOf(other), 1)
  })

  it('moves no deadline outside of the scope that the rule was given', async () => {
    const other = await openParcels((Parcel) => {
      Parcel.addScope('taiwan', { where: { country: 'TW' } })
      return { order_confirm: transition(Parcel.scope('taiwan'), CONFIRM) }
    })
    for (const sql of Holds.createSql(HOLDS_TABLE)) await other.sql(sql)
    const [inside, outside] = [await other.parcel(HOUR_MS), await other.parcel(HOUR_MS, { country: 'JP' })]
    const dueAt = async (id: number) => (await other.find(id)).dueAt?.getTime() as number
    const before = [await dueAt(inside), await dueAt(outside)] as [number, number]
    await other.timers.hold('order_confirm', WHY)
    await other.timers.release('order_confirm', { shift: true })
    assert.ok((await dueAt(inside)) > before[0])
    assert.equal(await dueAt(outside), before[1])
    await other.close()
  })

  it('moves what is written meanwhile as well where it comes to it, nothing twice, and no order that came after the release had begun', async () => {
    await migrate()
    const ids = await Promise.all([1, 2, 3, 4, 5, 6].map(() => shop.parcel(HOUR_MS)))
    const [given, extendedBehind, givenBehind, locked, extendedAhead, givenAhead] = ids.sort((a, b) => a - b) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    const dueAt = async (id: number) => (await shop.find(id)).dueAt?.getTime() as number
    await shop.timers.hold('order_confirm', WHY)
    await shop.timers.schedule('order_confirm', given, { after: '2h' })
    const before = new Map(await Promise.all(ids.map(async (id) => [id, await dueAt(id)] as const)))
    const locker = await shop.database.connect()
    await locker.query(`BEGIN; SELECT 1 FROM parcels WHERE id = ${locked} FOR UPDATE`)
    const released = shop.timers.release('order_confirm', { shift: true })
    await waitUntil(async () => (await dueAt(givenBehind)) > (before.get(givenBehind) as number))
    const own = new Map<number, number>()
    for (const id of [extendedBehind, extendedAhead]) await shop.timers.extend('order_confirm', id, '1h')
    for (const id of [givenBehind, givenAhead, await shop.parcel(null)]) {
      const { deadline } = await shop.timers.schedule('order_confirm', id, { after: '5h' })
      own.set(id, (deadline as Date).getTime())
    }
    await locker.query('COMMIT')
    await released
    const [hold] = await shop.sql(`SELECT state, length_ms::int AS length, moved::int AS moved FROM ${HOLDS_TABLE}`)
    const length = hold?.length as number
    assert.deepEqual([hold?.state, hold?.moved], ['released', 6])
    for (const id of [given, locked]) assert.equal(await dueAt(id), (before.get(id) as number) + length)
    for (const id of [extendedBehind, extendedAhead]) assert.equal(await dueAt(id), (before.get(id) as number) + length + HOUR_MS)
    for (const [id, at] of own) assert.equal(await dueAt(id), id === givenAhead ? at + length : at)
  })

  it('opens after a grace, by itself', async () => {
    await migrate()
    await shop.timers.hold('order_pay', WHY)
    const worker = await shop.worker({ fallback: false })
    const id = await unpaid()
    await shop.timers.release('order_pay', { grace: 1500 })
    await refuses(() => shop.timers.hold('order_pay', WHY), 'ALREADY_HELD')
    const [row] = await shop.sql(`SELECT opens_at FROM ${HOLDS_TABLE}`)
    await shop.timers.schedule('order_pay', id)
    await waitUntil(async () => (await statusOf(id)) === 0)
    const [settled] = await shop.sql('SELECT clock_timestamp() AS now')
    assert.ok((settled?.now as Date) >= (row?.opens_at as Date))
    assert.equal(worker.settled[0]?.via, 'alarm')
    assert.equal((await shop.timers.hold('order_pay', WHY)).state, 'held', 'and it can be held again')
  })

  it('is released by a sweep at its "until", as it was agreed', async () => {
    await migrate()
    const id = await shop.parcel(HOUR_MS)
    const before = (await shop.find(id)).dueAt?.getTime() as number
    await shop.timers.hold('order_confirm', { ...WHY, until: 300, shift: true })
    await shop.worker(EVERY_SECOND)
    await waitUntil(async () => (await shop.sql(`SELECT state FROM ${HOLDS_TABLE}`))[0]?.state === 'released')
    const [hold] = await shop.sql(`SELECT length_ms::int AS length FROM ${HOLDS_TABLE}`)
    assert.equal((await shop.find(id)).dueAt?.getTime(), before + (hold?.length as number))
  })

  it('is released at its "until" by one of two workers, and the other reports no failure', async () => {
    await migrate()
    await shop.timers.hold('order_confirm', { ...WHY, until: 1, shift: false })
    const locker = await shop.database.connect()
    await locker.query(`BEGIN; SELECT FROM ${HOLDS_TABLE} FOR UPDATE`)
    const started = [shop.worker(EVERY_SECOND), shop.worker(EVERY_SECOND)]
    const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE "${HOLDS_TABLE}"%'`
    await waitUntil(async () => (await shop.sql(waiting)).length === 2)
    await locker.query('COMMIT')
    for (const worker of await Promise.all(started)) assert.deepEqual(worker.faultsTold, [])
    assert.deepEqual(await shop.sql(`SELECT state FROM ${HOLDS_TABLE}`), [{ state: 'released' }])
  })

  it('stands where a sweep comes to release the one before', async () => {
    await migrate()
    const { holds } = runtimeOf(shop.timers).rule('order_confirm').row as RowRule
    await shop.timers.hold('order_confirm', { ...WHY, until: 1, shift: false })
    const [before] = await holds.standing()
    await shop.timers.release('order_confirm')
    await shop.timers.hold('order_confirm', WHY)
    const stands = await holds.beginRelease('none', { id: (before as Hold).id })
    assert.deepEqual([stands.state, (await holds.standing()).map(({ id }) => id)], ['held', [stands.id]])
    assert.notEqual(stands.id, before?.id)
  })

  it('is released by a sweep also where Redis alone knows the deadlines', async () => {
    await migrate()
    await shop.timers.hold('order_ship', { ...WHY, until: 300, shift: false })
    const worker = await shop.worker(EVERY_SECOND)
    const id = await shop.parcel(null, { status: 2 })
    await shop.timers.schedule('order_ship', id, { after: 20 })
    await waitUntil(async () => (await statusOf(id)) === 0)
    assert.equal((await shop.sql(`SELECT state FROM ${HOLDS_TABLE}`))[0]?.state, 'released')
    assert.deepEqual(worker.faultsTold, [])
  })

  it('moves deadlines before a row that another transaction has locked, keeps no other locked, and holds up no other rule', async () => {
    await migrate()
    const ids = [await shop.parcel(HOUR_MS), await shop.parcel(HOUR_MS), await shop.parcel(HOUR_MS)]
    const [first, second] = ids as [number, number]
    const dueAt = async (id: number) => (await shop.find(id)).dueAt?.getTime() as number
    const before = await Promise.all(ids.map(dueAt))
    const locker = await shop.database.connect()
    await locker.query(`BEGIN; SELECT 1 FROM parcels WHERE id = ${second} FOR UPDATE`)
    await shop.timers.hold('order_confirm', { ...WHY, until: 1, shift: true })
    const other = await unpaid()
    await shop.worker(EVERY_SECOND)
    await waitUntil(async () => (await dueAt(first)) > (before[0] as number))
    await waitUntil(async () => (await statusOf(other)) === 0)
    assert.equal((await shop.sql(`SELECT state FROM ${HOLDS_TABLE}`))[0]?.state, 'releasing')
    await locker.query('COMMIT')
    await waitUntil(async () => (await shop.sql(`SELECT state FROM ${HOLDS_TABLE}`))[0]?.state === 'released')
    const [hold] = await shop.sql(`SELECT length_ms::int AS length, moved::int AS moved FROM ${HOLDS_TABLE}`)
    assert.equal(hold?.moved, 3)
    assert.deepEqual(
      await Promise.all(ids.map(dueAt)),
      before.map((at) => at + (hold?.length as number)),
    )
  })

  it('names where a row refuses to be moved; the others before it are moved, and it ends once the row lets it', async () => {
    await migrate()
    const ids = [
      await shop.parcel(HOUR_MS),
      await shop.parcel(HOUR_MS),
      await shop.parcel(HOUR_MS, { country: 'XX' }),
      await shop.parcel(HOUR_MS),
    ]
    const dueAt = async (id: number) => (await shop.find(id)).dueAt?.getTime() as number
    const before = await Promise.all(ids.map(dueAt))
    await shop.sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$`)
    await shop.sql(`CREATE TRIGGER refuse BEFORE UPDATE ON parcels FOR EACH ROW WHEN (OLD.country = 'XX') EXECUTE FUNCTION refuse()`)
    await shop.timers.hold('order_confirm', WHY)
    const release = () => shop.timers.release('order_confirm', { shift: true })
    await refuses(
      release,
      'VETOED',
      new RegExp(`the next order behind Parcel "${ids[1]}" that is to be moved was refused \\(.*not this one\\)`),
    )
    assert.deepEqual(
      (await Promise.all(ids.map(dueAt))).map((at, i) => at > (before[i] as number)),
      [true, true, false, false],
    )
    await shop.sql('DROP TRIGGER refuse ON parcels')
    assert.equal(await release(), true)
    const [hold] = await shop.sql(`SELECT state, length_ms::int AS length, moved::int AS moved FROM ${HOLDS_TABLE}`)
    assert.deepEqual([hold?.state, hold?.moved], ['released', 4])
    assert.deepEqual(
      await Promise.all(ids.map(dueAt)),
      before.map((at) => at + (hold?.length as number)),
    )
  })

  it('does not count towards "staleAfter"', async () => {
    await migrate()
    const overdue = (minutes: number) => shop.parcel(null, { status: 6, placedAt: new Date(Date.now() - minutes * 60_000) })
    const [within, before, long] = [await overdue(100), await overdue(140), await overdue(200)]
    await shop.timers.hold('order_old', WHY)
    await shop.sql(`UPDATE ${HOLDS_TABLE} SET since = now() - interval '2 hours'`)
    const census = async () => (await planRule(runtimeOf(shop.timers), 'order_old', { days: 1, asBackfilled: false })).census
    assert.deepEqual([(await census())?.held, (await census())?.stale], [2, 1])
    await shop.worker({ fallback: false })
    await shop.timers.release('order_old')
    await waitUntil(async () => (await statusOf(within)) === 0 && (await statusOf(before)) === 0)
    assert.deepEqual([await statusOf(long), (await census())?.stale], [6, 1], 'overdue for 80 minutes in which it was not held')
    await shop.sql(`UPDATE ${HOLDS_TABLE} SET since = since - interval '1 hour', ended_at = ended_at - interval '1 hour'`)
    const after = await overdue(100)
    assert.equal((await census())?.stale, 2, 'an hour of these 100 minutes it was not held')
    await shop.sql(`DELETE FROM parcels WHERE id = ${after}`)
  })

  it('is refused while a worker runs that does not support holds, and names it', async () => {
    await migrate()
    const id = 'old:1:abcdef'
    const who = { id, host: 'old', pid: 1, version: '0.0.9', startedAt: 0, role: 'worker', redis: null, databases: [] }
    const beats = `${Date.now()} ${Date.now()} ${JSON.stringify({ ...who, rules: { order_confirm: 'x' } })}`
    await shop.redis.client.hset(runtimeOf(shop.timers).keys.processes, id, beats)
    await refuses(() => shop.timers.hold('order_confirm', WHY), 'WORKERS_TOO_OLD', /know no holds.*old:1:abcdef \(version 0\.0\.9\)/)
    assert.deepEqual(await shop.sql(`SELECT * FROM ${HOLDS_TABLE}`), [])
    assert.equal((await shop.timers.hold('order_pay', WHY)).state, 'held', 'it has no such rule')
  })

  it('refuses what it cannot do, and then holds nothing', async () => {
    const { timers } = shop
    const hold = timers.hold as TimerCalls['hold']
    await refuses(() => hold('order_confirm', WHY), 'HOLDS_MISSING', /order-timers migration/)
    await migrate()
    await refuses(() => hold('order_cofirm', WHY), 'UNKNOWN_KIND')
    await refuses(() => hold('order_other', WHY), 'NOT_HOLDABLE', /plain function/)
    const cases: [object, string][] = [
      [{}, 'INVALID_OPTION'],
      [{ reason: ' ' }, 'INVALID_OPTION'],
      [{ ...WHY, untill: '1h' }, 'INVALID_OPTION'],
      [{ ...WHY, until: '1h' }, 'INVALID_OPTION'],
      [{ ...WHY, shift: true }, 'INVALID_OPTION'],
      [{ ...WHY, until: '1h', shift: true, grace: '1h' }, 'INVALID_OPTION'],
      [{ ...WHY, until: '-1h', shift: true }, 'INVALID_DURATION'],
      [{ ...WHY, until: new Date(0), shift: false }, 'INVALID_DEADLINE'],
    ]
    for (const [options, code] of cases) await refuses(() => hold('order_confirm', options as never), code)
    await refuses(() => hold('order_pay', { ...WHY, until: '1h', shift: true }), 'NOT_HOLDABLE', /"placedAt".*grace/)
    await refuses(() => hold('order_ship', { ...WHY, until: '1h', shift: true }), 'NOT_HOLDABLE', /only in Redis/)
    await refuses(() => timers.release('order_pay', { shift: true }), 'NOT_HOLDABLE')
    await refuses(() => timers.release('order_confirm', { shift: true }), 'NOT_HELD')
    await refuses(() => timers.release('order_pay', { expect: 3 }), 'INVALID_OPTION', /brake/)
    assert.deepEqual(await shop.sql(`SELECT * FROM ${HOLDS_TABLE}`), [])
  })

  it('is released apart from the brake, and the backlog that is expected passes that', async () => {
    await migrate()
    await shop.timers.hold('order_confirm', WHY)
    await shop.sql(`INSERT INTO order_timers_brakes (kind, braked_at) VALUES ('order_confirm', now())`)
    await refuses(() => shop.timers.release('order_confirm'), 'HELD_AND_BRAKED', /--what hold/)
    assert.equal(await shop.timers.release('order_confirm', { what: 'brake' }), true)
    await shop.timers.release('order_confirm', { expect: 40 })
    const [brake] = await shop.sql('SELECT settled, braked_at FROM order_timers_brakes')
    assert.deepEqual(brake, { settled: -40, braked_at: null })
    await refuses(() => shop.timers.release('order_confirm', { expect: 2 ** 31 }), 'INVALID_OPTION', /"expect" must be/)
  })

  it('lets the expected backlog pass also where it opens later than the time of the brake is long', async () => {
    await migrate()
    const ids = [1, 2, 3, 4].map(() => shop.parcel(null, { status: 7, placedAt: new Date(Date.now() - HOUR_MS) }))
    await shop.timers.hold('order_few', WHY)
    await shop.timers.release('order_few', { grace: 2_000, expect: 3 })
    await shop.worker(EVERY_SECOND)
    for (const id of await Promise.all(ids)) await waitUntil(async () => (await statusOf(id)) === 0)
    assert.equal((await shop.sql('SELECT braked_at FROM order_timers_brakes'))[0]?.braked_at, null)
  })
})
