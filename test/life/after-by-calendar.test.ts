// `after` as a function that is told when the deadline begins to count, and that may return a Date.

import assert from 'node:assert/strict'
import { type ScheduleOptions, transition } from '../../lib/index.js'
import { waitUntil } from '../support/waiting.js'
import { EVERY_SECOND, openParcels, type Parcel, type ParcelShop } from './parcels.js'

const CONFIRM = { from: 4, to: 5, deadline: 'dueAt' } as const
const HOUR_MS = 3_600_000

describe('A function "after"', () => {
  let shop: ParcelShop<never>
  let froms: number[]
  let statements: string[]

  /** So many whole hours of `extended` later, by a clock on the wall whose hours begin a quarter past. */
  const byHours = ({ extended }: Parcel, { from }: { from: Date }) => {
    froms.push(from.getTime())
    return new Date(Math.ceil(from.getTime() / HOUR_MS) * HOUR_MS + (extended ?? 0) * HOUR_MS + 900_000)
  }
  const expected = (from: number, hours: number) => Math.ceil(from / HOUR_MS) * HOUR_MS + hours * HOUR_MS + 900_000

  const open = async (options: object, after: unknown = byHours) => {
    froms = []
    statements = []
    shop = (await openParcels((Parcels) => ({ order_confirm: transition(Parcels, { ...CONFIRM, ...options, after } as never) }), {
      database: { sequelize: { logging: (sql) => void statements.push(sql) } },
    })) as never
  }
  const schedule = (order: Parcel | number, options?: ScheduleOptions) =>
    shop.timers.schedule('order_confirm' as never, order as never, options)
  const clock = async () => Number((await shop.sql('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now'))[0]?.now)
  const dues = async () => new Map((await shop.Parcel.findAll()).map(({ extended, dueAt }) => [extended, dueAt?.getTime()]))

  afterEach(() => shop.close())

  it("gets Postgres's clock, and its Date is the deadline to the millisecond", async () => {
    await open({})
    const before = await clock()
    const id = await shop.parcel(null, { extended: 3 })
    const byId = await schedule(id)
    const order = await shop.find(id)
    const byInstance = await schedule(order)
    const [first, second] = froms as [number, number]
    assert.ok(before <= first + 1 && first <= second && second <= (await clock()), `${before}, ${first}, ${second}`)
    assert.deepEqual([byId.deadline?.getTime(), byInstance.deadline?.getTime()], [expected(first, 3), expected(second, 3)])
    assert.equal((await shop.find(id)).dueAt?.getTime(), expected(second, 3))
    assert.equal(order.dueAt?.getTime(), expected(second, 3))
  })

  it('that takes no "from" may return a Date too', async () => {
    const at = new Date(Date.now() + HOUR_MS)
    await open({}, () => at)
    assert.deepEqual((await schedule(await shop.parcel(null))).deadline, at)
  })

  it('gives each order of a statement its own under "auto", in one statement', async () => {
    await open({ auto: true })
    await shop.Parcel.create({ extended: 1 })
    await shop.Parcel.bulkCreate([2, 3].map((extended) => ({ extended })))
    const waiting = await shop.Parcel.bulkCreate([4, 5, 6].map((extended) => ({ extended, status: 1 })))
    await (waiting[0] as Parcel).update({ status: 4 })
    statements = []
    await shop.Parcel.update({ status: 4 }, { where: { status: 1 } })
    assert.equal(statements.filter((sql) => /UPDATE /.test(sql) && !/FOR NO KEY UPDATE/.test(sql)).length, 1, statements.join('\n'))
    const begun = [froms[0], froms[1], froms[1], froms[3], froms[4], froms[4]] as number[]
    assert.equal(froms.length, 6)
    assert.deepEqual(await dues(), new Map(begun.map((from, i) => [i + 1, expected(from, i + 1)])))
  })

  it('may give some orders of a statement a Date, others a duration, and others none', async () => {
    const at = new Date(Date.now() + HOUR_MS)
    await open({ auto: true }, ({ extended }: Parcel) => (extended === 1 ? at : extended === 2 ? '2h' : null))
    await shop.Parcel.bulkCreate([1, 2, 3].map((extended) => ({ extended, status: 1 })))
    const before = await clock()
    await shop.Parcel.update({ status: 4 }, { where: {} })
    const found = await dues()
    assert.deepEqual([found.get(1), found.get(3)], [at.getTime(), undefined])
    const counted = (found.get(2) as number) - 2 * HOUR_MS
    assert.ok(counted >= before - 1 && counted <= (await clock()), `${counted}`)
  })

  it('counts from the attribute that "backfill" names', async () => {
    await open({ backfill: { since: 'placedAt' } })
    const placedAt = new Date(Date.now() - 5 * HOUR_MS)
    const id = await shop.parcel(null, { extended: 9, placedAt })
    const worker = await shop.worker(EVERY_SECOND)
    const dueAt = await waitUntil(async () => (await shop.find(id)).dueAt)
    await worker.stop()
    assert.equal(dueAt.getTime(), expected(placedAt.getTime(), 9))
    assert.equal(froms[0], placedAt.getTime())
  })

  const REFUSED: [what: string, after: unknown, code: string, message: RegExp][] = [
    [
      'a Date that has passed',
      () => new Date(Date.now() - HOUR_MS),
      'INVALID_DEADLINE',
      /what "after" returned must be later than 20.*; return a later Date/,
    ],
    ['an invalid Date', () => new Date(Number.NaN), 'INVALID_DEADLINE', /what "after" returned must be a Date/],
    ['a promise, also one that is rejected', () => Promise.reject(new Error('no such country')), 'INVALID_DURATION', /, got .*Promise/],
    ['text that is no duration', () => 'tomorrow', 'INVALID_DURATION', /what "after" returned/],
    [
      'a default for what it is told',
      (_: Parcel, { from } = { from: new Date() }) => from,
      'INVALID_OPTION',
      /"after" gets "from" only if its second parameter has no default/,
    ],
  ]
  for (const [what, after, code, message] of REFUSED) {
    it(`is refused with ${what}, and nothing is written`, async () => {
      await open({ auto: true }, after)
      const id = await shop.parcel(null, { status: 1 })
      await shop.sql('UPDATE parcels SET status = 4')
      await assert.rejects(schedule(id), { code: `ERR_ORDER_TIMERS_${code}`, message })
      assert.equal((await shop.find(id)).dueAt, null)
      await assert.rejects(shop.Parcel.create({ extended: 1 }), { code: `ERR_ORDER_TIMERS_${code}`, message })
      assert.equal(await shop.Parcel.count(), 1)
    })
  }
})
