// What the driver's type parsers make of a row's values, as a shop may have set them: texts, numbers, objects of another library.

import assert from 'node:assert/strict'
import pg from 'pg'
import { DataTypes, type InitOptions, Model, type ModelStatic } from 'sequelize'
import { effect, type Rules, transition } from '../../lib/index.js'
import { BRAKE_TABLE, Brake } from '../../lib/rows/brake.js'
import { HISTORY_TABLE, History } from '../../lib/rows/history.js'
import { rows } from '../../lib/sequelize/database.js'
import { armed } from '../support/armed.js'
import { openDatabase } from '../support/database.js'
import { openShop, type Shop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

type Parser = (text: string) => unknown

/** By Postgres's oid. */
const OID = { bool: 16, int8: 20, int2: 21, int4: 23, float8: 701, timestamp: 1114, timestamptz: 1184, numeric: 1700 }
const all = (parser: Parser) => Object.fromEntries(Object.values(OID).map((oid) => [oid, parser]))

/** As moment, dayjs and luxon are, as far as anybody looks. */
class Instant {
  constructor(private readonly text: string) {}
  valueOf(): number {
    return new Date(this.text).getTime()
  }
  format(): string {
    return this.text
  }
}

const PARSERS: [string, Record<number, Parser>][] = [
  ['dates as text', { [OID.timestamptz]: String }],
  ['dates as text of another form', { [OID.timestamptz]: (text) => new Date(text).toLocaleString('de-AT') }],
  ['dates as objects of another library', { [OID.timestamptz]: (text) => new Instant(text) }],
  ['dates as numbers', { [OID.timestamptz]: (text) => Math.floor(new Date(text).getTime() / 1000) }],
  ['int8 as a BigInt', { [OID.int8]: BigInt }],
  ['int8 as a number', { [OID.int8]: Number }],
  ['numbers as objects', { [OID.int4]: Object, [OID.float8]: (text) => ({ toString: () => text }), [OID.numeric]: Number }],
  ['booleans as text', { [OID.bool]: String }],
  ['everything as text', all(String)],
]

/** Beyond what JavaScript's numbers tell apart, but where the shop's own instances would have them as numbers. */
const firstId = (parsers: Record<number, Parser>): bigint => (parsers[OID.int8] === Number ? 1n : 9_007_199_254_740_993n)

describe('a driver that gives', () => {
  let shop: Shop<Rules>
  let Booking: ModelStatic<Model>

  afterEach(() => shop.close())

  const open = async (parsers: Record<number, Parser>): Promise<void> => {
    const types = { ...pg.types, getTypeParser: (oid: number, format?: 'text') => parsers[oid] ?? pg.types.getTypeParser(oid, format) }
    shop = await openShop(
      ({ sequelize }) => {
        Booking = class Booking extends Model {}
        Booking.init(
          {
            id: { type: DataTypes.BIGINT, primaryKey: true },
            status: DataTypes.INTEGER,
            dueAt: DataTypes.DATE,
            leftMs: DataTypes.BIGINT,
            extended: DataTypes.INTEGER,
            hot: { type: DataTypes.BOOLEAN, defaultValue: false },
            otherDueAt: DataTypes.DATE,
            createdAt: DataTypes.DATE,
          },
          { sequelize, modelName: 'Booking', tableName: 'bookings', updatedAt: false } as InitOptions,
        )
        const more = { pause: { keep: 'leftMs', while: { hot: true } }, maxExtensions: 3, extended: 'extended', history: true, auto: true }
        return {
          due: transition(Booking, { from: 4, to: 5, deadline: 'dueAt', after: '1h', afterCommit: () => {}, ...more } as never),
          pay: transition(Booking, { from: 1, to: 4, since: 'createdAt', after: '15m', auto: true, brake: { max: 9, per: '1h' } } as never),
          other: effect(Booking, {
            ...{ where: { status: 7 }, deadline: 'otherDueAt', after: () => 1000, backfill: true },
            run: async (orders: Model[], { transaction }: { transaction: never }) => {
              for (const order of orders) await order.update({ status: 8 }, { transaction })
            },
          } as never),
        } as Rules
      },
      { database: { sequelize: { dialectModule: Object.assign(Object.create(pg), { types }) } } },
    )
    await Booking.sync()
    const { client } = shop.database
    for (const sql of [...History.createSql(HISTORY_TABLE), ...Brake.createSql(BRAKE_TABLE)]) await client.query(sql)
  }

  const rowOf = async (id: bigint): Promise<{ status: number; due: number | null; created: number }> => {
    const ms = (column: string) => `(extract(epoch FROM "${column}") * 1000)::float8`
    const sql = `SELECT status, ${ms('dueAt')} AS due, floor(${ms('createdAt')}) AS created FROM bookings WHERE id = $1`
    return (await shop.database.client.query(sql, [id])).rows[0]
  }
  /** What is armed is what the row says, to the millisecond. */
  const armedAsWritten = async (call: string, id: bigint, kind = 'due'): Promise<void> => {
    const { due, created } = await rowOf(id)
    const deadline = kind === 'due' ? due : created + 15 * 60_000
    assert.notEqual(deadline, null, call)
    assert.equal((await armed(shop.redis, kind, String(id))).due, deadline, call)
  }
  /** By its instance. Where Sequelize itself cannot (6.21 renders no BigInt there), "auto" refuses it alike, and the class does it. */
  const increment = async (id: bigint): Promise<void> => {
    const booking = await Booking.findByPk(String(id), { rejectOnEmpty: true })
    const withoutAuto = booking.increment('status', { by: 0, hooks: false } as never)
    const message = await withoutAuto.then(
      () => undefined,
      (error: Error) => error.message,
    )
    if (message === undefined) return void (await booking.increment('status'))
    await assert.rejects(booking.increment('status'), { message })
    await Booking.increment('status', { where: { id: String(id) } })
  }

  for (const [title, parsers] of PARSERS) {
    describe(title, () => {
      const first = firstId(parsers)

      beforeEach(() => open(parsers))

      it('has each timer that "auto" starts armed as it was written, whichever call started it', async () => {
        let next = first
        const id = () => next++
        const ids = {
          create: id(),
          save: id(),
          bulk: id(),
          bulkWith: id(),
          increment: id(),
          statics: id(),
          bulkCreate: id(),
          found: id(),
          upsert: id(),
        }
        const paid = (of: bigint) => ({ id: String(of), status: 2 })
        for (const some of ['save', 'bulk', 'bulkWith', 'increment', 'statics'] as const) await Booking.create(paid(ids[some]))
        await Booking.create({ ...paid(ids.create), status: 4 })
        await (await Booking.findByPk(String(ids.save), { rejectOnEmpty: true })).update({ status: 4 })
        await Booking.update({ status: 4 }, { where: { id: String(ids.bulk) } })
        const [, returned] = await Booking.update({ status: 4 }, { where: { id: String(ids.bulkWith) }, returning: true })
        const three = { id: [String(ids.increment), String(ids.statics)] }
        await Booking.update({ status: 3 }, { where: three })
        await increment(ids.increment)
        await Booking.increment('status', { where: { id: String(ids.statics) } })
        const created = await Booking.bulkCreate([{ ...paid(ids.bulkCreate), status: 4 }])
        const [found] = await Booking.findOrCreate({ where: { id: String(ids.found) }, defaults: { status: 4 } as never })
        for (const [call, of] of Object.entries(ids)) if (call !== 'upsert') await armedAsWritten(call, of)
        await Booking.upsert({ id: String(ids.upsert), status: 2 })
        for (const instance of [...returned, ...created, found])
          assert.deepEqual(
            Object.keys((instance as unknown as { dataValues: object }).dataValues).filter((name) => name.startsWith('order_timers')),
            [],
          )
        const unpaid = id()
        await Booking.create({ ...paid(unpaid), status: 1 })
        await armedAsWritten('create', unpaid, 'pay')
        const since = id()
        await Booking.create(paid(since))
        await Booking.update({ status: 1 }, { where: { id: String(since) } })
        await armedAsWritten('bulk', since, 'pay')
      })

      it('changes nothing that a call answers, and nothing that is settled', async () => {
        const { timers } = shop
        const [called, past, unpaid, effected] = [first, first + 2n, first + 4n, first + 6n]
        await Booking.create({ id: String(called), status: 4 })
        const before = await timers.schedule('due', String(called))
        const { deadline } = await timers.extend('due', String(called), '1h')
        assert.equal((deadline as Date).getTime() - (before.deadline as Date).getTime(), 3_600_000)
        const { created } = await rowOf(called)
        const left = (await timers.remaining('due', String(called))) as number
        assert.ok(left > 7_190_000 && left <= 7_200_000, `${left} of ${created}`)
        assert.equal((await timers.list(String(called)))[0]?.deadline.getTime(), (deadline as Date).getTime())
        await Booking.create({ id: String(past), status: 4, dueAt: new Date(Date.now() - 1000) })
        await Booking.create({ id: String(unpaid), status: 1, createdAt: new Date(Date.now() - 16 * 60_000) } as never)
        await Booking.create({ id: String(effected), status: 7 })
        const worker = await shop.worker({ fallback: '* * * * * *' })
        await waitUntil(async () => (await rowOf(past)).status === 5 && (await rowOf(unpaid)).status === 4, { within: 8000 })
        await waitUntil(async () => (await rowOf(effected)).status === 8, { within: 8000 })
        await armedAsWritten('the rule before', unpaid)
        const settled = worker.settled.map(({ kind, id, deadline }) => [kind, id, typeof deadline]).sort()
        assert.deepEqual(settled, [
          ['due', String(past), 'number'],
          ['other', String(effected), 'number'],
          ['pay', String(unpaid), 'number'],
        ])
        assert.deepEqual(worker.health().faults, [])
        for (const { failed, dead } of Object.values(worker.health().kinds)) assert.deepEqual([failed, dead], [0, 0])
        assert.equal((await rowOf(called)).status, 4)
      })
    })
  }
})

describe('a statement of our own that returns rows', () => {
  for (const sql of [
    'INSERT INTO counts VALUES ($1, TRUE) RETURNING n, yes',
    'UPDATE counts SET n = $1 RETURNING n, yes',
    'SELECT $1::float8 AS n, TRUE AS yes',
  ])
    it(`has its own types, whatever the parsers are: ${sql}`, async () => {
      const getTypeParser = (oid: number, format?: 'text') => (oid === OID.float8 ? String : pg.types.getTypeParser(oid, format))
      const dialectModule = Object.assign(Object.create(pg), { types: { ...pg.types, getTypeParser } })
      const database = await openDatabase({ sequelize: { dialectModule } })
      try {
        await database.client.query('CREATE TABLE counts (n float8, yes boolean); INSERT INTO counts VALUES (1, TRUE)')
        assert.deepEqual(await rows(database.sequelize, sql, [1.5], null), [{ n: 1.5, yes: true }])
      } finally {
        await database.close()
      }
    })
})
