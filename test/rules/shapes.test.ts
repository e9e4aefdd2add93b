// One suite, run over every shape of table in shapes.ts.

import assert from 'node:assert/strict'
import { type Model, type ModelStatic, Op, type WhereOptions } from 'sequelize'
import { effect, type Rule, startExpiryWorker, transition } from '../../lib/index.js'
import { History } from '../../lib/rows/history.js'
import { OrderTable } from '../../lib/rows/order-table.js'
import type { Database } from '../support/database.js'
import { refused } from '../support/refused.js'
import { makeTimers, openShop, type Shop, watched } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'
import { define, NUMBERS, SHAPES, type Shape, type Statuses } from './shapes.js'

const rulesOf = (shape: Shape, model: ModelStatic<Model>) => {
  const { placed, paid, shipped, confirmed, cancelled } = shape.statuses ?? NUMBERS
  const { status = 'status', deadline = 'dueAt', since = 'placedAt' } = shape.names ?? {}
  const common = { status: status as never, ...shape.rule }
  return {
    confirm: transition(() => model, { from: shipped, to: confirmed, deadline: deadline as never, after: '24h', ...common }),
    pay: transition(model, { from: [placed], to: cancelled, since: since as never, after: '15m', ...common }),
    ship: transition(model, { from: paid, to: cancelled, deadline: false, ...common }),
  }
}

/** Rules that keep more of an order's life: what happened, what is left of a pause, an effect of the shop's own. */
const livelyRulesOf = (shape: Shape, model: ModelStatic<Model>) => {
  const { paid, shipped, confirmed, cancelled } = shape.statuses ?? NUMBERS
  const { status = 'status', deadline = 'dueAt', since = 'placedAt' } = shape.names ?? {}
  const { where: more } = (shape.rule ?? {}) as { where?: WhereOptions }
  const where = { [Op.and]: [{ [status]: paid }, ...(more === undefined ? [] : [more])] }
  const kept = { deadline, after: '24h', pause: { keep: 'leftMs' }, history: true, status }
  return {
    confirm: transition(model, { from: shipped, to: confirmed, ...kept, ...shape.rule } as never) as Rule<'deadline'>,
    unpaid: effect(model, {
      where: where as never,
      since: since as never,
      after: '15m',
      history: true,
      run: async (orders, { transaction }) => {
        for (const order of orders) await order.update({ [status]: cancelled }, { transaction })
      },
    }),
  }
}

for (const shape of SHAPES) {
  describe(`a table with ${shape.title}`, () => {
    const statuses = shape.statuses ?? NUMBERS
    const { status: statusName = 'status', deadline: deadlineName = 'dueAt', since: sinceName = 'placedAt' } = shape.names ?? {}
    let shop: Shop<ReturnType<typeof rulesOf>>
    let Shaped: ModelStatic<Model>
    let ids: (string | number)[]

    beforeEach(async () => {
      ids = [...(shape.ids ?? [])]
      shop = await openShop((database) => {
        Shaped = define(shape, database)
        return rulesOf(shape, Shaped)
      })
      await shape.prepare?.(shop.database)
      await Shaped.sync()
    })

    afterEach(async () => {
      const { client, schema } = shop.database
      await client.query(`DROP SCHEMA IF EXISTS "${schema} b" CASCADE`)
      await shop.close()
    })

    const place = async (status: keyof Statuses, values: object = {}): Promise<Model> => {
      const id = ids.shift()
      const key = id === undefined ? {} : { [Shaped.primaryKeyAttribute]: id }
      const order = await Shaped.create({ ...key, ...shape.values, [statusName]: statuses[status], ...values })
      return order.reload().catch(() => order) // a scope may hide it, and the instance be used all the same
    }
    const idOf = (order: Model) => order.get(Shaped.primaryKeyAttribute) as string | number

    /** The row as Postgres has it, by column. */
    const rowOf = async (order: Model): Promise<Record<string, unknown>> => {
      const { table, key } = sqlNames(Shaped)
      const { rows } = await shop.database.client.query(`SELECT to_jsonb(o) AS row FROM ${table} AS o WHERE ${key}::text = $1`, [
        String(idOf(order)),
      ])
      return rows[0].row
    }
    const column = (attribute: string) => Shaped.getAttributes()[attribute]?.field ?? attribute
    const statusOf = async (order: Model) => String((await rowOf(order))[column(statusName)])
    const changes = (before: Record<string, unknown>, after: Record<string, unknown>) =>
      Object.keys(before)
        .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
        .sort()

    it('has its orders settled by the alarm, by the sweep and when an external key expires', async () => {
      const overdue = await place('placed', { [sinceName]: new Date(Date.now() - 15 * 60_000 - 500) })
      const bystander = await place('confirmed', {
        [deadlineName]: new Date(Date.now() - 500),
        [sinceName]: new Date(Date.now() - 86_400_000),
      })
      const [shipped, paid] = [await place('shipped'), await place('paid')]
      const before = await inTurn([overdue, bystander, shipped, paid], rowOf)
      const worker = await shop.worker({ fallback: false })
      await shop.timers.schedule('confirm', idOf(shipped), { after: 100 })
      await shop.redis.client.set(shop.key(`ship:${idOf(paid)}`), '1', 'PX', 100)
      await waitUntil(() => worker.settled.length === 3, { what: 'three orders to be settled' }).catch((error) => {
        throw new Error(`${error.message}, ${JSON.stringify([worker.settled, worker.faultsTold])}`)
      })

      assert.deepEqual(worker.settled.map(({ kind, id, via }) => [kind, id, via]).sort(), [
        ['confirm', String(idOf(shipped)), 'alarm'],
        ['pay', String(idOf(overdue)), 'sweep'],
        ['ship', String(idOf(paid)), 'event'],
      ])
      assert.deepEqual(await inTurn([overdue, bystander, shipped, paid], statusOf), [
        String(statuses.cancelled),
        String(statuses.confirmed),
        String(statuses.confirmed),
        String(statuses.cancelled),
      ])
      await waitUntil(async () => (await rowOf(bystander))[column(deadlineName)] === null)
      const after = await inTurn([overdue, bystander, shipped, paid], rowOf)
      const settled = [column(statusName), ...(shape.settles ?? ['updatedAt'])].sort()
      assert.deepEqual(
        before.map((row, i) => changes(row, after[i] as typeof row)),
        [settled, [column(deadlineName)], settled, settled], // a deadline that an order kept when it left is taken off
      )
      assert.equal(after[2]?.[column(deadlineName)], null)
      for (const order of worker.settled) assert.ok(order.latenessMs === null || order.latenessMs >= 0, `late by ${order.latenessMs}`)
      assert.deepEqual(worker.faultsTold, [])
    })

    it('has deadlines scheduled, extended, listed and cancelled, without a change to anything else on the row', async () => {
      await shop.timers.check()
      const order = await place('shipped')
      const before = await rowOf(order)
      const { id, deadline } = await shop.timers.schedule('confirm', order)
      assert.equal(id, String(idOf(order)))
      assert.deepEqual(order.get(deadlineName), deadline)
      assert.deepEqual(changes(before, await rowOf(order)), [column(deadlineName)])
      assert.equal(Date.parse((await rowOf(order))[column(deadlineName)] as string), deadline?.getTime())

      const moved = new Date((deadline as Date).getTime() + 3_600_000)
      assert.deepEqual((await shop.timers.extend('confirm', String(idOf(order)), '1h')).deadline, moved)
      assert.deepEqual(
        (await shop.timers.list(idOf(order))).map((timer) => [timer.kind, timer.deadline]),
        [['confirm', moved]],
      )
      assert.ok(((await shop.timers.remaining('confirm', idOf(order))) as number) > 86_400_000)
      await shop.timers.cancel('confirm', idOf(order))
      assert.deepEqual(await rowOf(order), before)

      const paid = await place('paid')
      const { code, message } = await refused(() => shop.timers.schedule('confirm', paid))
      assert.equal(code, 'ERR_ORDER_TIMERS_ORDER_NOT_IN_FROM')
      assert.match(message, /^orderTimers: confirm: Shaped ".+" has \w+ .+; the rule applies to ".+"/)
    })

    it('has its timers paused and resumed, an effect settled, and the history written', async () => {
      const { client } = shop.database
      const { table } = new History('confirm', OrderTable.of('confirm', Shaped), 1)
      for (const sql of History.createSql(table)) await client.query(sql)
      const timers = makeTimers(livelyRulesOf(shape, Shaped), { redis: shop.redis.url, prefix: `${shop.redis.prefix}lively:` })
      await timers.check()
      const shipped = await place('shipped')
      const paid = await place('paid', { [sinceName]: new Date(Date.now() - 20 * 60_000) })
      const before = await rowOf(shipped)
      await timers.schedule('confirm', idOf(shipped))
      await timers.pause('confirm', idOf(shipped))
      const { [column('leftMs')]: leftMs, ...others } = await rowOf(shipped)
      assert.ok(Number(leftMs) > 86_390_000 && Number(leftMs) <= 86_400_000, String(leftMs))
      assert.deepEqual({ ...others, [column('leftMs')]: null }, before)
      const resumed = await timers.resume('confirm', shipped)
      assert.ok(Math.abs((resumed.deadline as Date).getTime() - Date.now() - 86_400_000) < 10_000)
      assert.deepEqual([shipped.get(deadlineName), shipped.get('leftMs')], [resumed.deadline, null])

      const worker = watched(startExpiryWorker(timers, { fallback: false }))
      await worker.ready
      const { deadline } = await timers.schedule('confirm', shipped, { after: 50 })
      await waitUntil(() => worker.settled.length === 2, { what: 'two orders to be settled' }).catch((error) => {
        throw new Error(`${error.message}, ${JSON.stringify([worker.settled, worker.faultsTold])}`)
      })
      assert.deepEqual(await inTurn([shipped, paid], statusOf), [String(statuses.confirmed), String(statuses.cancelled)])
      const { rows } = await client.query(`SELECT kind, order_id, from_status, to_status, deadline, via FROM ${table} ORDER BY id`)
      const placedAt = paid.get(sinceName) as Date
      assert.deepEqual(
        rows.map((row) => Object.values(row)),
        [
          ['unpaid', String(idOf(paid)), null, null, new Date(placedAt.getTime() + 15 * 60_000), 'sweep'],
          ['confirm', String(idOf(shipped)), String(statuses.shipped), String(statuses.confirmed), deadline, 'alarm'],
        ],
      )
      await worker.stop()
      await timers.close()
    })
  })
}

function sqlNames(model: ModelStatic<Model>): { table: string; key: string } {
  const { queryGenerator } = (model.sequelize as Database['sequelize']).getQueryInterface() as unknown as {
    queryGenerator: { quoteTable(name: unknown): string; quoteIdentifier(name: string): string }
  }
  const key = model.getAttributes()[model.primaryKeyAttribute]?.field as string
  return { table: queryGenerator.quoteTable(model.getTableName()), key: queryGenerator.quoteIdentifier(key) }
}

/** One after the other, as a connection takes its queries. */
async function inTurn<T, R>(values: T[], ask: (value: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = []
  for (const value of values) answers.push(await ask(value))
  return answers
}
