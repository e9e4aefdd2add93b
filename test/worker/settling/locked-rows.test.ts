import assert from 'node:assert/strict'
import type { Client } from 'pg'
import { type FaultCode, transition } from '../../../lib/index.js'
import { statementOf } from '../../../lib/rows/lock-holders.js'
import { WorkerEmitter } from '../../../lib/worker/events.js'
import { Faults } from '../../../lib/worker/faults.js'
import { LockedRows } from '../../../lib/worker/settling/locked-rows.js'
import { runtimeOf } from '../../support/runtime.js'
import { openShop, type Shop } from '../../support/shop.js'
import { waitUntil } from '../../support/waiting.js'

const CODE: FaultCode = 'ROW_LOCKED'

describe('A row that is locked for long', () => {
  let shop: Shop<never>
  let faults: Faults
  let lockedRows: LockedRows

  beforeEach(async () => {
    shop = (await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
    }))) as unknown as Shop<never>
    const runtime = runtimeOf(shop.timers)
    faults = new Faults(
      new WorkerEmitter(),
      Object.assign(() => {}, { debugs: false, flush() {} }),
    )
    lockedRows = new LockedRows(new Map(runtime.workerRules().map((rule) => [rule.kind, rule])), faults, 0)
  })

  afterEach(() => shop.close())

  const message = () => faults.list().find(({ code }) => code === CODE)?.message ?? ''
  const pidOf = async (client: Client) => (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid as number
  const locking = async (id: number, lock = 'FOR UPDATE') => {
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query(`SELECT note FROM orders WHERE id = ${id} AND coalesce(note, '') <> 'ann@example.com' ${lock}`)
    return holder
  }

  it('is told with its order, the session that holds it, its age and the verb and table of its statement, and told as over', async () => {
    const id = await shop.order({ status: 4 })
    const holder = await locking(id)
    lockedRows.note('order_confirm', [String(id)])
    await lockedRows.look()
    const told = message()
    const pid = await pidOf(holder)
    const who = `process ${pid} of Postgres holds it (application "by hand", user "postgres"), in a transaction open for`
    assert.ok(told.startsWith(`order_confirm: Order "${id}" is due, and its row has been locked for 0 s; ${who} `), told)
    assert.ok(told.includes('last statement SELECT … FROM orders; let that transaction end, or end it'), told)
    assert.ok(told.endsWith(`SELECT pg_terminate_backend(${pid})`), told)
    assert.ok(!told.includes('ann@example.com'))
    await holder.query('ROLLBACK')
    await lockedRows.look()
    assert.deepEqual(faults.list(), [])
  })

  it('is found by the members of its multixact where several have it, and the oldest of several rows is named', async () => {
    const ids = [await shop.order({ status: 4 }), await shop.order({ status: 4 })]
    const holders = [
      await locking(ids[0] as number, 'FOR SHARE'),
      await locking(ids[0] as number, 'FOR SHARE'),
      await locking(ids[1] as number),
    ]
    lockedRows.note('order_confirm', ids.map(String))
    await lockedRows.look()
    assert.ok(message().includes('(2 orders of this rule have been locked that long)'), message())
    const pids = await Promise.all(holders.map(pidOf))
    assert.ok(
      pids.some((pid) => message().includes(`process ${pid} of Postgres`)),
      message(),
    )
    await holders[2]?.query('ROLLBACK')
    await holders[0]?.query('ROLLBACK')
    await lockedRows.look()
    assert.ok(message().includes(`Order "${ids[0]}" is due`) && message().includes(`process ${pids[1]} of`), message())
    await holders[1]?.query('COMMIT')
    await lockedRows.look()
    assert.deepEqual(faults.list(), [])
  })

  it('is told with the GRANT that is missing where this role may not see what the holder does', async () => {
    const { database } = shop
    await database.client.query(`CREATE ROLE ${database.schema} LOGIN PASSWORD 'plain'`)
    await database.client.query(`GRANT USAGE ON SCHEMA ${database.schema} TO ${database.schema}`)
    await database.client.query(`GRANT SELECT, UPDATE ON orders TO ${database.schema}`)
    const url = Object.assign(new URL(database.url), { username: database.schema, password: 'plain' }).href
    const { Order } = database.connectSequelize({ url })
    const plain = await openPlain(Order)
    const id = await shop.order({ status: 4 })
    const holder = await locking(id)
    plain.lockedRows.note('order_confirm', [String(id)])
    await plain.lockedRows.look()
    const told = plain.faults.list()[0]?.message ?? ''
    assert.ok(told.includes(`process ${await pidOf(holder)} of Postgres holds it (application "by hand"`), told)
    assert.ok(
      told.includes(`the role "${database.schema}" may not see what it does: GRANT pg_read_all_stats TO "${database.schema}"`),
      told,
    )
    await holder.query('ROLLBACK')
    await plain.close()
    await database.client.query(`DROP OWNED BY ${database.schema}`)
    await database.client.query(`DROP ROLE ${database.schema}`)
  })

  it('is put off by the worker meanwhile, and known to it until it is settled', async () => {
    const id = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - 1_000) })
    const holder = await locking(id)
    const worker = await shop.worker({ fallback: '* * * * * *' })
    const own = (worker as unknown as { parts: { lockedRows: LockedRows } }).parts.lockedRows
    await waitUntil(() => own.knows('order_confirm'))
    await own.look()
    assert.equal(worker.health().status, 'ok', 'not told before half a minute')
    await holder.query('ROLLBACK')
    await waitUntil(async () => (await shop.statusOf(id)) === 5)
    await waitUntil(() => !own.knows('order_confirm'))
  })

  /** The same over another Sequelize. */
  async function openPlain(Order: Shop<never>['database']['Order']) {
    const { orderTimers } = await import('../../../lib/index.js')
    const rules = { order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }) }
    const timers = orderTimers({ redis: false, rules })
    const own = new Faults(
      new WorkerEmitter(),
      Object.assign(() => {}, { debugs: false, flush() {} }),
    )
    const bound = new Map(
      runtimeOf(timers)
        .workerRules()
        .map((rule) => [rule.kind, rule]),
    )
    return { faults: own, lockedRows: new LockedRows(bound, own, 0), close: () => timers.close() }
  }
})

describe('Of a statement', () => {
  for (const [query, shown] of [
    [`UPDATE orders SET note = 'ann@example.com'`, 'UPDATE orders'],
    [`/* from ann@example.com */ update "shop"."orders" as o set x = 1`, 'UPDATE "shop"."orders"'],
    [`-- ann\n  DELETE FROM only orders where email = 'ann@example.com'`, 'DELETE FROM ONLY orders'],
    [`insert into orders values ('ann@example.com')`, 'INSERT INTO orders'],
    [`SELECT 'ann@example.com', * FROM "orders" WHERE id = 1 FOR UPDATE`, 'SELECT … FROM "orders"'],
    [`LOCK TABLE orders`, 'LOCK TABLE orders'],
    [`COMMIT`, 'COMMIT'],
    [`(SELECT 'ann@example.com')`, 'a statement'],
    [``, 'a statement'],
  ] as const) {
    it(`no more than the verb and the table is shown: ${shown}`, () => {
      assert.equal(statementOf(query), shown)
    })
  }
})
