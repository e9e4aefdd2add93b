// What the chaos run's judge reads, held against Postgres and the package: the ledger has every change, and the plain facts say what the rules are.

import assert from 'node:assert/strict'
import { FEATURES } from '../../chaos/history.js'
import { readEffects, readLedger } from '../../chaos/ledger.js'
import { pendingOrders } from '../../chaos/pending.js'
import { makeRules, RULES } from '../../chaos/rules.js'
import { createTables } from '../../chaos/schema.js'
import { defineTables, type Tables } from '../../chaos/tables.js'
import { orderTimers } from '../../lib/index.js'
import { RUNTIME, type Runtime } from '../../lib/timers/runtime.js'
import { type Database, openDatabase } from '../support/database.js'

describe('the tables of the chaos run', () => {
  let database: Database
  let tables: Tables

  before(async () => {
    database = await openDatabase()
    await database.client.query('DROP TABLE orders; DROP TABLE ledger; DROP FUNCTION log_change() CASCADE')
    const client = await database.connect()
    await createTables(client, database.connectSequelize().sequelize, database.schema)
    tables = defineTables(database.sequelize)
  })
  after(() => database.close())

  const ledgerOf = async (id: string) => (await readLedger(await database.connect())).filter((change) => change.id === id)

  it('have a ledger of each insert, update and delete, with the wish that wrote it', async () => {
    await tables.coupons.bulkCreate([{ id: 'c-1', status: 'issued', wish: 5 }] as never)
    await database.client.query(`UPDATE coupons SET "expiresAt" = to_timestamp(1700000000) WHERE id = 'c-1'`)
    await database.client.query(`UPDATE coupons SET "expiresAt" = to_timestamp(1700000000) WHERE id = 'c-1'`)
    await database.client.query(`BEGIN; UPDATE coupons SET status = 'used' WHERE id = 'c-1'; ROLLBACK`)
    await tables.coupons.update({ status: 'used', wish: 6 }, { where: { id: 'c-1' } })
    await tables.coupons.destroy({ where: { id: 'c-1' } })
    const changes = await ledgerOf('c-1')
    assert.deepEqual(
      changes.map(({ op, wish, by }) => [op, wish, by]),
      [
        ['insert', 5, ''],
        ['update', undefined, 'by hand'],
        ['update', 6, ''],
        ['delete', undefined, ''],
      ],
    )
    assert.deepEqual(changes[1]?.from, { id: 'c-1', status: 'issued', wish: 5, fails: false, byPost: false, hidden: false })
    assert.deepEqual(changes[1]?.to, { ...changes[1]?.from, expiresAt: 1_700_000_000_000 })
    assert.equal(new Set(changes.map(({ txid }) => txid)).size, 4)
    for (const { at, trueAt } of changes) assert.ok(Math.abs(at - trueAt) < 1000)
  })

  it('keep effects by the transaction that wrote them', async () => {
    await database.client.query(`INSERT INTO effects (kind, order_id) VALUES ('order_confirm', '77')`)
    const [effect] = await readEffects(await database.connect())
    assert.deepEqual([effect?.kind, effect?.id, effect?.by], ['order_confirm', '77', 'by hand'])
  })

  it('say which orders still wait for a rule', async () => {
    const at = (ms: number) => new Date(Date.now() + ms)
    await tables.coupons.bulkCreate([
      { id: 'c-10', status: 'issued', wish: 1 },
      { id: 'c-11', status: 'suspect', voidAt: at(-5000), wish: 1 },
      { id: 'c-12', status: 'old', purgeAt: at(-900_000), wish: 1 },
      { id: 'c-13', status: 'gift', issuedAt: at(-9000), fails: true, wish: 1 },
      { id: 'c-14', status: 'trial', trialAt: at(-9000), wish: 1 },
      { id: 'c-15', status: 'lapsing', lapseAt: at(-9000), hidden: true, wish: 1 },
      { id: 'c-16', status: 'lapsing', lapseAt: at(-9000), byPost: true, hidden: true, wish: 1 },
    ] as never)
    const pending = await pendingOrders(await database.connect())
    assert.deepEqual(pending.map(({ kind, count }) => [kind, count]).sort(), [
      ['coupon_expire', 1],
      ['coupon_lapse', 1],
      ['coupon_void', 1],
    ])
    assert.ok((pending.find(({ kind }) => kind === 'coupon_void')?.overdueMs ?? 0) >= 5000)
  })

  it('have rules that are what their plain facts say', async () => {
    const timers = orderTimers({ logger: false, redis: false, rules: makeRules(tables, database.sequelize) })
    const runtime = (timers as unknown as { [RUNTIME]: Runtime })[RUNTIME]
    await timers.check()
    assert.deepEqual([...runtime.kinds].sort(), RULES.map(({ kind }) => kind).sort())
    for (const facts of RULES) {
      const { row, attempts } = runtime.rule(facts.kind)
      assert.equal(attempts, facts.attempts, facts.kind)
      if (row === undefined) {
        assert.equal(facts.table, null)
        continue
      }
      const { guard, move, deadline, options, brake, history } = row
      assert.equal(guard.table.model.tableName, facts.table, facts.kind)
      assert.deepEqual(guard.from.map(String), facts.from ?? [], facts.kind)
      assert.equal(move && String(move.to), facts.to, facts.kind)
      assert.deepEqual(deadline.in === 'redis' ? 'redis' : { [deadline.in]: deadline.attribute }, facts.deadline, facts.kind)
      assert.equal(options.dryRun, facts.dryRun === true, facts.kind)
      assert.equal(options.staleAfterMs, facts.staleAfterMs, facts.kind)
      assert.deepEqual(
        [brake !== undefined, history !== undefined, options.run !== undefined, options.afterCommit !== undefined],
        [facts.brake !== undefined, facts.history === true, facts.run === true, facts.afterCommit === true],
        facts.kind,
      )
      assert.deepEqual(
        options.reminders.map(({ label, beforeMs, staleAfterMs }) => ({ before: label, beforeMs, staleAfterMs })),
        facts.reminders ?? [],
      )
    }
    await timers.close()
  })

  it('try every feature by a rule or by a call', () => {
    const byCall = ['extend', 'cancel', 'pause', 'remaining', 'list', 'cls']
    const all = new Set([...RULES.flatMap(({ features }) => features), ...byCall])
    assert.deepEqual(
      FEATURES.filter((feature) => !all.has(feature)),
      [],
    )
  })
})
