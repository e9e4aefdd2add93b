import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { DataTypes, Model, type ModelAttributeColumnOptions } from 'sequelize'
import { effect, transition } from '../../lib/index.js'
import { History } from '../../lib/rows/history.js'
import { refusal, refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { waitUntil } from '../support/waiting.js'
import { heard, openParcels } from './parcels.js'

const CONFIRM = { from: [3, 4], to: 5, deadline: 'dueAt', after: '24h', history: true } as const

describe('the history', () => {
  let close: () => Promise<void>

  afterEach(() => close())

  const open: typeof openParcels = async (makeRules, options) => {
    const shop = await openParcels(makeRules, options)
    close = shop.close
    return shop
  }

  it('has a row for each settlement: order, kind, from, to, deadline, lateness, path and worker', async () => {
    const shop = await open((Parcels) => ({ order_confirm: transition(Parcels, CONFIRM) }))
    const [swept, other] = [await shop.parcel(-2000), await shop.parcel(-1000, { status: 3 })]
    const deadlines = (await Promise.all([swept, other].map(shop.find))).map(({ dueAt }) => dueAt)
    const worker = await shop.worker({ fallback: false })
    const alarmed = await shop.parcel()
    const { deadline } = await shop.timers.schedule('order_confirm', alarmed, { after: 50 })
    await waitUntil(() => worker.settled.length === 3)
    const key = await shop.parcel(-500)
    await shop.redis.client.set(shop.key(`order_confirm:${key}`), '1', 'PX', 20)
    await waitUntil(() => worker.settled.length === 4)
    const rows = await shop.history()
    const name = runtimeOf(shop.timers).identity.id
    assert.match(name, new RegExp(`^${hostname()}:${process.pid}:\\w{6}$`))
    const row = (id: number, from: number, via: string) => ['order_confirm', String(id), '', String(from), '5', via, name, 0, null, null]
    assert.deepEqual(
      rows.map((one) => [
        one.kind,
        one.order_id,
        one.reminder,
        one.from_status,
        one.to_status,
        one.via,
        one.worker,
        one.attempts,
        one.next_try,
        one.error,
      ]),
      [row(swept, 4, 'sweep'), row(other, 3, 'sweep'), row(alarmed, 4, 'alarm'), row(key, 4, 'event')],
    )
    assert.deepEqual(
      rows.slice(0, 3).map((one) => one.deadline),
      [...deadlines, deadline],
    )
    const lateness = rows.map((one) => one.lateness_ms as number)
    assert.ok((lateness[0] as number) >= 2000 && (lateness[0] as number) < 6000, String(lateness))
    assert.ok((lateness[2] as number) >= 0 && (lateness[2] as number) < 1000, String(lateness))
  })

  it('has no row for what was undone, or was not due', async () => {
    const shop = await open((Parcels) => ({
      order_confirm: transition(Parcels, {
        ...CONFIRM,
        attempts: 1,
        run: (parcels) => {
          if (parcels.some(({ country }) => country === 'JP')) throw new Error('no ship to Japan')
        },
      }),
    }))
    const [failing, fine] = [await shop.parcel(-1000, { country: 'JP' }), await shop.parcel(-1000)]
    await shop.parcel(60_000)
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.deadTold.length && worker.settled.length)
    assert.deepEqual(
      (await shop.history()).map(({ order_id }) => order_id),
      [String(fine)],
    )
    assert.equal((await shop.find(failing)).status, 4)
  })

  it('has the rows of individual hooks, of effects, and of rules whose deadline is only in Redis', async () => {
    const shop = await open((Parcels) => ({
      hooked: transition(Parcels, { ...CONFIRM, individualHooks: true }),
      unpaid: effect(Parcels, {
        where: { isPaid: false, country: 'JP' },
        since: 'placedAt',
        after: '15m',
        history: true,
        run: async (parcels, { transaction }) => {
          for (const parcel of parcels) await parcel.destroy({ transaction })
        },
      }),
      redis_only: transition(Parcels, { from: 2, to: 0, deadline: false, history: true }),
    }))
    const hooked = await shop.parcel(-1000)
    const placedAt = new Date(Date.now() - 3_600_000)
    const unpaid = await shop.parcel(null, { status: 9, country: 'JP', placedAt })
    const only = await shop.parcel(null, { status: 2 })
    const worker = await shop.worker()
    await shop.timers.schedule('redis_only', only, { after: 20 })
    await waitUntil(() => worker.settled.length === 3)
    const rows = (await shop.history()).map((row) => [row.kind, row.order_id, row.from_status, row.to_status, row.deadline === null])
    assert.deepEqual(rows, [
      ['hooked', String(hooked), '4', '5', false],
      ['unpaid', String(unpaid), null, null, false],
      ['redis_only', String(only), '2', '0', true],
    ])
    const { deadline } = (await shop.history()).find(({ kind }) => kind === 'unpaid') ?? {}
    assert.equal(deadline?.getTime(), placedAt.getTime() + 900_000, 'the deadline, not what it is counted from')
  })

  const ids: [string, ModelAttributeColumnOptions, unknown, boolean][] = [
    ['UUIDs', { type: DataTypes.UUID, primaryKey: true }, randomUUID(), false],
    ['BIGINTs', { type: DataTypes.BIGINT, primaryKey: true }, '9007199254740993', false],
    ['integers in a column called order_id', { type: DataTypes.INTEGER, primaryKey: true, field: 'order_id' }, 34, false],
    ['integers, in a schema of their own', { type: DataTypes.INTEGER, primaryKey: true }, 34, true],
  ]
  for (const [title, key, id, apart] of ids) {
    it(`and what follows the commit know orders by ids that are ${title}`, async () => {
      class Box extends Model {}
      const told: unknown[] = []
      const schema = `h_${randomUUID().slice(0, 8)}`
      const shop = await open((_, sequelize) => {
        const columns = { no: key, status: DataTypes.INTEGER, dueAt: DataTypes.DATE }
        Box.init(columns, { sequelize, tableName: 'boxes', timestamps: false, ...(apart && { schema }) })
        const afterCommit = (boxes: Model[], { idempotencyKeys }: { idempotencyKeys: string[] }) =>
          void told.push(...boxes.map((box) => box.get('no')), ...idempotencyKeys)
        return { order_confirm: transition(Box, { ...CONFIRM, deadline: 'dueAt' as never, afterCommit }) }
      })
      if (apart) {
        await shop.sql(`CREATE SCHEMA ${schema}`)
        for (const sql of History.createSql(`${schema}.order_timers_history`)) await shop.sql(sql)
        for (const sql of History.createSql(`${schema}.order_timers_history`)) await shop.sql(sql)
      }
      try {
        await Box.sync()
        await shop.timers.check()
        const dueAt = new Date(Date.now() - 1000)
        await Box.create({ no: id, status: 4, dueAt })
        const worker = await shop.worker()
        await waitUntil(() => told.length && worker.settled.length)
        assert.deepEqual(told, [id, `order_confirm:${id}:${dueAt.getTime()}`])
        const table = apart ? `${schema}.order_timers_history` : 'order_timers_history'
        await waitUntil(async () => (await shop.sql(`SELECT next_try FROM ${table}`))[0]?.next_try === null)
        const [row] = await shop.sql(`SELECT order_id, deadline FROM ${table}`)
        assert.deepEqual(row, { order_id: String(id), deadline: dueAt })
      } finally {
        await shop.sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
      }
    })
  }

  it('without a table is reported by check(), and by the worker as a fault, until it has one', async () => {
    const shop = await open((Parcels) => ({
      order_confirm: transition(Parcels, { ...CONFIRM, reminders: [{ before: '1h', run: () => {} }] }),
      braked: transition(Parcels, { from: 1, to: 0, since: 'placedAt', after: '1h', brake: { max: 10, per: '1h' } }),
    }))
    const id = await shop.parcel(-1000)
    await shop.sql('DROP TABLE order_timers_history')
    const remedy = 'create it with what `order-timers migration` prints'
    const missing = (kind: string, table: string) => `orderTimers: rule "${kind}": there is no table "${table}"; ${remedy}`
    const message = missing('order_confirm', 'order_timers_history')
    assert.deepEqual(await refused(() => shop.timers.check()), refusal('INVALID_MODEL', 500, message))
    const worker = await shop.worker({ fallback: '* * * * * *' })
    const told = heard(worker, 'recovered')
    assert.deepEqual(
      worker.health().faults.map(({ code, kind, message }) => ({ code, kind, message })),
      ['order_confirm', 'order_confirm.reminder-1h'].map((kind) => ({ code: 'INVALID_MODEL', kind, message })),
    )
    for (const sql of History.createSql('order_timers_history')) await shop.sql(sql)
    await waitUntil(async () => (await shop.find(id)).status === 5)
    await waitUntil(() => told.recovered.some(({ code }) => code === 'INVALID_MODEL'))
    await worker.stop()

    await shop.sql('DROP TABLE order_timers_brakes')
    const brakes = missing('braked', 'order_timers_brakes')
    assert.deepEqual(await refused(() => shop.timers.check()), refusal('INVALID_MODEL', 500, brakes))
    const next = await shop.worker({ fallback: false })
    assert.deepEqual(
      next.health().faults.map(({ code, message }) => ({ code, message })),
      [{ code: 'INVALID_MODEL', message: brakes }],
    )
  })
})
