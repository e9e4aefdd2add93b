// Deadlines of each order's own: reckoned by the shop's own function, extended within limits, and given by the sweep to orders that have none.

import assert from 'node:assert/strict'
import { DataTypes, Model } from 'sequelize'
import { effect, type Rule, transition } from '../../lib/index.js'
import { armed } from '../support/armed.js'
import { Lines } from '../support/lines.js'
import { refusal, refused } from '../support/refused.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'
import { EVERY_SECOND, openParcels, type Parcel, type ParcelShop } from './parcels.js'

const CONFIRM = { from: 4, to: 5, deadline: 'dueAt' } as const
const HOUR_MS = 3_600_000
const NO_TIMER = new Date(Date.UTC(9999, 11, 31))

type ConfirmShop = ParcelShop<{ order_confirm: Rule<'deadline', Parcel> }>

describe("a deadline of each order's own", () => {
  let shop: ConfirmShop

  afterEach(() => shop?.close())

  const near = (actual: unknown, expected: number, byMs = 5000) =>
    assert.ok(Math.abs(Number(actual) - expected) < byMs, `${actual} is not about ${expected}`)

  const AFTER: Record<string, unknown> = { TW: '24h', JP: 7 * 24 * HOUR_MS, never: null, odd: 'soon' }
  const byCountry = ({ country }: Parcel) => AFTER[country] as '24h'

  const wrong = (shown: string) =>
    `orderTimers: rule "order_confirm": what "after" returned must be a duration such as '24h' or a positive whole number of milliseconds, of ten years at most, got ${shown}`

  describe('"after" as a function of the order', () => {
    beforeEach(async () => {
      shop = await openParcels((Parcels) => ({ order_confirm: transition(Parcels, { ...CONFIRM, after: byCountry }) }))
    })

    it('says when each is due, given as an instance or by its id', async () => {
      const [home, far] = [await shop.parcel(), await shop.parcel(null, { country: 'JP' })]
      near((await shop.timers.schedule('order_confirm', home)).deadline, Date.now() + 24 * HOUR_MS)
      near((await shop.timers.schedule('order_confirm', await shop.find(far))).deadline, Date.now() + 7 * 24 * HOUR_MS)
      near((await shop.timers.schedule('order_confirm', far, { after: '1h' })).deadline, Date.now() + HOUR_MS)
    })

    it('that returns null gives no timer, and removes the existing one', async () => {
      const id = await shop.parcel(HOUR_MS, { country: 'never' })
      const none = { kind: 'order_confirm', id: String(id), deadline: null, armed: false }
      assert.deepEqual(await shop.timers.schedule('order_confirm', id), none)
      assert.equal((await shop.find(id)).dueAt, null)
      assert.equal(await shop.timers.remaining('order_confirm', id), null)
    })

    it('that returns no duration is a coded error, and nothing is written', async () => {
      const [odd, other] = [await shop.parcel(null, { country: 'odd' }), await shop.parcel(null, { country: 'XX' })]
      assert.deepEqual(await refused(() => shop.timers.schedule('order_confirm', odd)), refusal('INVALID_DURATION', 400, wrong('"soon"')))
      assert.deepEqual(
        await refused(() => shop.timers.schedule('order_confirm', other)),
        refusal('INVALID_DURATION', 400, wrong('undefined')),
      )
      assert.deepEqual([(await shop.find(odd)).dueAt, (await shop.find(other)).dueAt], [null, null])
      const missing = refusal('ORDER_NOT_FOUND', 404, 'orderTimers: order_confirm: there is no Parcel "77"')
      assert.deepEqual(await refused(() => shop.timers.schedule('order_confirm', 77)), missing)
    })
  })

  describe('"backfill"', () => {
    it('names an order whose trigger put back its deadline, and the sweep ends', async () => {
      shop = await openParcels((Parcels) => ({ order_confirm: transition(Parcels, { ...CONFIRM, after: '1h', backfill: true }) }))
      await shop.sql('INSERT INTO parcels (status) SELECT 4 FROM generate_series(1, 1001)')
      await shop.sql('CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$')
      await shop.sql('CREATE TRIGGER keep BEFORE UPDATE ON parcels FOR EACH ROW WHEN (OLD.id <> 7) EXECUTE FUNCTION keep()')
      const worker = await shop.worker(EVERY_SECOND)
      await waitForEvent(worker, 'swept')
      assert.match(
        worker
          .health()
          .faults.map(({ message }) => message)
          .join(),
        /Parcel \d+ was not written: a trigger on the table put back/,
      )
      near((await shop.find(7)).dueAt, Date.now() + HOUR_MS, 20_000)
    })

    it('gives orders in "from" without a deadline one from now, and settles them by it; cancel stays cancelled', async () => {
      shop = await openParcels((Parcels) => ({ order_confirm: transition(Parcels, { ...CONFIRM, after: '2s', backfill: true }) }))
      const { timers } = shop
      const [found, cancelled, elsewhere] = [await shop.parcel(), await shop.parcel(HOUR_MS), await shop.parcel(null, { status: 3 })]
      const parcel = await shop.find(cancelled)
      const none = { kind: 'order_confirm', id: String(cancelled), deadline: null, armed: false }
      assert.deepEqual(await timers.cancel('order_confirm', parcel), none)
      const worker = await shop.worker(EVERY_SECOND)
      const dueAt = (await shop.find(found)).dueAt
      near(dueAt, Date.now() + 2000, 2000)
      assert.equal((await armed(shop.redis, 'order_confirm', found)).due, dueAt?.getTime())
      await waitUntil(() => worker.settled.length)
      assert.deepEqual(
        (await Promise.all([found, cancelled, elsewhere].map(shop.find))).map((row) => [row.status, row.dueAt]),
        [
          [5, null],
          [4, NO_TIMER],
          [3, null],
        ],
      )
      assert.equal(await timers.remaining('order_confirm', cancelled), null)
      assert.deepEqual(await timers.list(cancelled), [])
      const message = `orderTimers: order_confirm: Parcel "${cancelled}" has no deadline to extend; call schedule('order_confirm', …) first`
      assert.deepEqual(await refused(() => timers.extend('order_confirm', cancelled, '1h')), refusal('NO_TIMER', 409, message))
      assert.equal((await timers.schedule('order_confirm', cancelled)).armed, true)
    })

    it('may count from another column, and if that is empty from now', async () => {
      shop = await openParcels((Parcels) => ({
        order_confirm: transition(Parcels, { ...CONFIRM, after: '24h', backfill: { since: 'placedAt' } }),
      }))
      const placedAt = new Date(Date.now() - 10 * HOUR_MS)
      const [placed, unknown] = [await shop.parcel(null, { placedAt }), await shop.parcel(null, { placedAt: null })]
      await shop.worker()
      assert.equal((await shop.find(placed)).dueAt?.getTime(), placedAt.getTime() + 24 * HOUR_MS)
      near((await shop.find(unknown)).dueAt, Date.now() + 24 * HOUR_MS)
    })

    it('calls the function of the order; a failure is reported, and delays no other order', async () => {
      shop = await openParcels((Parcels) => ({ order_confirm: transition(Parcels, { ...CONFIRM, after: byCountry, backfill: true }) }))
      const ids: number[] = []
      for (const country of ['odd', 'TW', 'never', 'JP']) ids.push(await shop.parcel(null, { country }))
      const overdue = await shop.parcel(-1000)
      const worker = await shop.worker()
      const [odd, home, never, far] = await Promise.all(ids.map(shop.find))
      assert.deepEqual([odd?.dueAt, never?.dueAt], [null, NO_TIMER])
      near(home?.dueAt, Date.now() + 24 * HOUR_MS)
      near(far?.dueAt, Date.now() + 7 * 24 * HOUR_MS)
      assert.equal((await shop.find(overdue)).status, 5)
      const message = `order_confirm: the sweep could not read or settle (Parcel ${ids[0]} gets no deadline: ${wrong('"soon"')}); the next one tries again`
      assert.deepEqual(
        worker.health().faults.map(({ code, message }) => ({ code, message })),
        [{ code: 'SWEEP_FAILED', message }],
      )
    })

    for (const [form, after] of [
      ['a duration', '24h'],
      ['a function', () => '24h'],
    ] as const)
      it(`gives all others theirs where a trigger refuses some rows, which are told, with ${form}`, async () => {
        const pause = { keep: 'leftMs', while: { disputeOpen: true } } as const
        shop = await openParcels((Parcels) => ({
          order_confirm: transition(Parcels, { ...CONFIRM, after: after as '24h', backfill: true, pause }),
        }))
        await shop.sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$`)
        await shop.sql(`CREATE TRIGGER refuse BEFORE UPDATE ON parcels FOR EACH ROW WHEN (OLD.country = 'XX') EXECUTE FUNCTION refuse()`)
        const countries = ['TW', 'XX', 'TW', 'TW', 'XX', 'TW']
        const ids: number[] = []
        for (const country of countries) ids.push(await shop.parcel(null, { country }))
        const disputed = await shop.parcel(HOUR_MS, { disputeOpen: true })
        const refusedToo = await shop.parcel(HOUR_MS, { disputeOpen: true, country: 'XX' })
        const overdue = await shop.parcel(-1000)
        const worker = await shop.worker()
        for (const [i, id] of ids.entries()) assert.equal((await shop.find(id)).dueAt === null, countries[i] === 'XX', `${i}`)
        assert.notEqual((await shop.find(disputed)).leftMs, null)
        assert.equal((await shop.find(refusedToo)).leftMs, null)
        assert.equal((await shop.find(overdue)).status, 5)
        const [{ code, message } = {}, ...others] = worker.health().faults
        assert.deepEqual([code, others], ['SWEEP_FAILED', []])
        assert.match(message as string, /\(Parcel \d+ was not written: .*not this one\)/)
      })

    it('leaves what is paused, by call or by declaration, as it is', async () => {
      shop = await openParcels((Parcels) => ({
        order_confirm: transition(Parcels, {
          ...CONFIRM,
          after: '24h',
          backfill: true,
          pause: { keep: 'leftMs', while: { disputeOpen: true } },
        }),
      }))
      const [disputed, undated] = [await shop.parcel(HOUR_MS, { disputeOpen: true }), await shop.parcel(null, { disputeOpen: true })]
      const worker = await shop.worker(EVERY_SECOND)
      await waitForEvent(worker, 'swept')
      await waitForEvent(worker, 'swept')
      const [row, none] = [await shop.find(disputed), await shop.find(undated)]
      assert.deepEqual([row.dueAt, none.dueAt, none.leftMs], [NO_TIMER, null, null])
      near(row.leftMs, HOUR_MS)
      assert.equal(await shop.timers.remaining('order_confirm', disputed), null)
      await shop.Parcel.update({ disputeOpen: false }, { where: {} })
      await waitUntil(async () => (await shop.find(undated)).dueAt)
      near((await shop.find(disputed)).dueAt, Date.now() + HOUR_MS)
    })

    for (const individualHooks of [false, true]) {
      it(`gives an order that was settled and comes back a deadline again${individualHooks ? ', with individual hooks too' : ''}`, async () => {
        shop = await openParcels((Parcels) => ({
          order_confirm: transition(Parcels, { ...CONFIRM, after: '1h', backfill: true, individualHooks }),
        }))
        const id = await shop.parcel(-1000)
        const worker = await shop.worker(EVERY_SECOND)
        const { status, dueAt } = await shop.find(id)
        assert.deepEqual([status, dueAt], [5, null])
        await shop.sql('UPDATE parcels SET status = 4')
        await waitForEvent(worker, 'swept')
        await waitForEvent(worker, 'swept')
        near((await shop.find(id)).dueAt, Date.now() + HOUR_MS)
      })
    }

    it('comes to all others in the same sweep, however many the function fails on', async () => {
      shop = await openParcels((Parcels) => ({ order_confirm: transition(Parcels, { ...CONFIRM, after: byCountry, backfill: true }) }))
      await shop.Parcel.bulkCreate(Array.from({ length: 2000 }, () => ({ country: 'odd' })))
      const last = await shop.parcel()
      await shop.worker()
      near((await shop.find(last)).dueAt, Date.now() + 24 * HOUR_MS)
    })
  })

  describe('orders in "from" without a deadline', () => {
    it('are counted when a worker starts, and reported', async () => {
      const logger = new Lines()
      shop = await openParcels(
        (Parcels) => ({ order_confirm: transition(Parcels, { ...CONFIRM, after: '24h', where: { isPaid: true } }) }),
        {
          logger,
        },
      )
      for (const isPaid of [true, true, false]) await shop.parcel(null, { isPaid })
      await shop.parcel(HOUR_MS, { isPaid: true })
      await shop.parcel(null, { isPaid: true, status: 5 })
      const worker = await shop.worker({ fallback: false })
      const lines = () => logger.of('info').filter((line) => line.includes('no deadline'))
      assert.deepEqual(lines(), ['order_confirm: 2 orders are where the rule applies and have no deadline'])
      await worker.stop()
      await shop.parcel(null, { isPaid: true })
      const next = await shop.worker(EVERY_SECOND)
      assert.deepEqual(next.undatedTold, [{ kind: 'order_confirm', count: 3 }])
    })
  })

  describe('extend', () => {
    const open = async (limit: object) => {
      shop = await openParcels((Parcels) => ({
        order_confirm: transition(Parcels, { ...CONFIRM, after: '24h', extended: 'extended', ...limit } as never) as Rule<
          'deadline',
          Parcel
        >,
      }))
    }
    const tooMuch = (id: number, message: string) =>
      refusal('EXTENSION_LIMIT', 409, `orderTimers: order_confirm: Parcel "${id}" ${message}`)

    it('is limited in number, counted on the row; schedule starts the count again', async () => {
      await open({ maxExtensions: 2 })
      const { timers } = shop
      const parcel = await shop.find(await shop.parcel())
      const { deadline } = await timers.schedule('order_confirm', parcel)
      await timers.extend('order_confirm', parcel, '1h')
      assert.equal(parcel.extended, 1)
      await timers.extend('order_confirm', parcel, '1h')
      const expected = tooMuch(parcel.id, 'was extended 2 times, which is the most')
      assert.deepEqual(await refused(() => timers.extend('order_confirm', parcel, '1h')), expected)
      const row = await shop.find(parcel.id)
      assert.deepEqual([row.extended, row.dueAt?.getTime()], [2, (deadline as Date).getTime() + 2 * HOUR_MS])
      await timers.schedule('order_confirm', parcel)
      assert.deepEqual([parcel.extended, (await shop.find(parcel.id)).extended], [null, null])
      await timers.extend('order_confirm', parcel, '1h')
    })

    it('is limited in total', async () => {
      await open({ maxTotal: '2h' })
      const { timers } = shop
      const id = await shop.parcel()
      const { deadline } = await timers.schedule('order_confirm', id)
      const most = 'may be extended by 2h in all, '
      assert.deepEqual(await refused(() => timers.extend('order_confirm', id, '3h')), tooMuch(id, `${most}and 3h more is too much`))
      await timers.extend('order_confirm', id, '90m')
      const expected = tooMuch(id, `${most}was extended by 90m already, and 1800001ms more is too much`)
      assert.deepEqual(await refused(() => timers.extend('order_confirm', id, HOUR_MS / 2 + 1)), expected)
      await timers.extend('order_confirm', id, '30m')
      const row = await shop.find(id)
      assert.deepEqual([row.extended, row.dueAt?.getTime()], [2 * HOUR_MS, (deadline as Date).getTime() + 2 * HOUR_MS])
    })

    it('holds its limit although several extend at once', async () => {
      await open({ maxExtensions: 3 })
      const id = await shop.parcel()
      const { deadline } = await shop.timers.schedule('order_confirm', id)
      const answers = await Promise.allSettled(Array.from({ length: 8 }, () => shop.timers.extend('order_confirm', id, '1h')))
      const codes = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason.code] : []))
      assert.deepEqual(codes, Array(5).fill('ERR_ORDER_TIMERS_EXTENSION_LIMIT'))
      const row = await shop.find(id)
      assert.deepEqual([row.extended, row.dueAt?.getTime()], [3, (deadline as Date).getTime() + 3 * HOUR_MS])
    })

    it('is not refused because of a limit where the order got its deadline just then', async () => {
      await open({ maxExtensions: 2 })
      const id = await shop.parcel()
      let isScheduled = false
      // Between the UPDATE, which found no deadline, and the look at why: no real server can be made to wait just there.
      const { sequelize } = shop.database
      const query = sequelize.query.bind(sequelize) as (...given: unknown[]) => Promise<unknown>
      sequelize.query = (async (sql: string, ...rest: unknown[]) => {
        if (!isScheduled && sql.includes('AS in_from')) {
          isScheduled = true
          await shop.timers.schedule('order_confirm', id)
        }
        return query(sql, ...rest)
      }) as typeof sequelize.query
      const { deadline } = await shop.timers.extend('order_confirm', id, '1h')
      assert.ok(isScheduled)
      const row = await shop.find(id)
      assert.deepEqual([row.extended, row.dueAt], [1, deadline])
      near(deadline, Date.now() + 25 * HOUR_MS)
    })

    it('without a limit may be repeated', async () => {
      shop = await openParcels((Parcels) => ({
        order_confirm: effect(Parcels, { where: { isPaid: false }, run: () => {}, deadline: 'dueAt', after: '24h' }) as Rule<
          'deadline',
          Parcel
        >,
      }))
      const id = await shop.parcel(HOUR_MS)
      const before = (await shop.find(id)).dueAt?.getTime() as number
      for (let i = 0; i < 5; i++) await shop.timers.extend('order_confirm', id, '1h')
      assert.equal((await shop.find(id)).dueAt?.getTime(), before + 5 * HOUR_MS)
    })
  })

  describe('a rule that keeps something on the row', () => {
    it('is refused by check() with the column that is missing or of a wrong type', async () => {
      class Bare extends Model {}
      const rule = {
        from: 4,
        to: 5,
        after: '24h',
        deadline: 'dueAt',
        pause: { keep: 'left' },
        maxExtensions: 1,
        extended: 'times',
        backfill: { since: 'placedAt' },
      }
      shop = (await openParcels((_, sequelize) => {
        const columns = {
          status: DataTypes.INTEGER,
          dueAt: DataTypes.DATE,
          left: DataTypes.BIGINT,
          times: DataTypes.INTEGER,
          placedAt: DataTypes.DATE,
        }
        Bare.init(columns, { sequelize, modelName: 'Bare', tableName: 'bares', timestamps: false })
        return { order_confirm: transition(Bare, rule as never) }
      })) as never
      await Bare.sync()
      await shop.timers.check()
      for (const [column, type] of [
        ['left', 'bigint'],
        ['times', 'integer'],
        ['placedAt', 'timestamptz'],
      ]) {
        await shop.sql(`ALTER TABLE bares DROP COLUMN "${column}"`)
        const add = `ALTER TABLE "bares" ADD COLUMN "${column}" ${type}`
        const message = `orderTimers: rule "order_confirm": the table "bares" has no column "${column}"; add it with ${add}`
        assert.deepEqual(await refused(() => shop.timers.check()), refusal('INVALID_MODEL', 500, message))
        await shop.sql(add)
        await shop.timers.check()
      }
    })
  })
})
