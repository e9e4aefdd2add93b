// An orders table in partitions, by hash of the id and by time, with the indexes that the migration makes: whatever the worker asks of many
// thousand rows, Postgres answers from indexes.

import assert from 'node:assert/strict'
import type { Sequelize } from 'sequelize'
import { migration } from '../../lib/admin/migration.js'
import { transition } from '../../lib/index.js'
import { OWN_OPTIONS } from '../../lib/sequelize/query-options.js'
import { confirmed, ship, shipUnarmed } from '../faults/confirming.js'
import type { Database } from '../support/database.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'

const ROWS = 40_000

/** What begins a later page of the sweep: after the last row of the page before. */
const KEYSET = '"Order"."id") > ($'

const COLUMNS = `"userId" int NOT NULL DEFAULT 1, total int NOT NULL DEFAULT 100, status int NOT NULL DEFAULT 1, note varchar(255),
  "confirmDueAt" timestamptz, "createdAt" timestamptz NOT NULL, "updatedAt" timestamptz NOT NULL`

const PARTITIONED: Record<string, string> = {
  'by hash of the id': `CREATE TABLE orders (id serial PRIMARY KEY, ${COLUMNS}) PARTITION BY HASH (id);
    ${[0, 1, 2, 3].map((n) => `CREATE TABLE orders_${n} PARTITION OF orders FOR VALUES WITH (MODULUS 4, REMAINDER ${n});`).join('\n')}`,
  // The key must hold what the partitions go by, so nothing keeps ids unique but their sequence.
  'by time': `CREATE TABLE orders (id serial, ${COLUMNS}, PRIMARY KEY (id, "createdAt")) PARTITION BY RANGE ("createdAt");
    ${['2020-01-01', '2024-01-01', '2025-01-01', '2026-01-01', '2200-01-01']
      .slice(0, -1)
      .map(
        (from, n, all) => `CREATE TABLE orders_${n} PARTITION OF orders FOR VALUES FROM ('${from}') TO ('${all[n + 1] ?? '2200-01-01'}');`,
      )
      .join('\n')}`,
}

interface Plan {
  'Node Type': string
  Plans?: Plan[]
}

for (const [how, create] of Object.entries(PARTITIONED)) {
  describe(`A table of orders in partitions ${how}`, () => {
    it('is settled and swept like any other, and no statement of either reads whole partitions', async () => {
      const shop = await openShop(({ Order }) => ({
        order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
        order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
      }))
      const { database, timers } = shop
      await partition(database, create)
      for (const sql of migration(runtimeOf(timers)).up) await database.client.query(sql)
      for (const sql of migration(runtimeOf(timers)).up) await database.client.query(sql)
      await fill(database)
      const seen = watch(database.sequelize)
      await timers.check()
      await shipUnarmed(database, 100, -1_000)
      await shipUnarmed(database, 100, 2_000)
      await shop.worker({ fallback: '*/2 * * * * *' })
      await ship(shop, 100, 1_000)
      await confirmed(shop, 300)
      const scanning = await Promise.all([...seen].map(async ([sql, bind]) => ((await scans(database, sql, bind)) ? [sql] : [])))
      assert.deepEqual(scanning.flat(), [])
      const sqls = [...seen.keys()]
      assert.ok(sqls.some((sql) => sql.startsWith('WITH order_timers_due'))) // the settling UPDATE
      assert.equal(sqls.filter((sql) => sql.includes(KEYSET)).length, 4) // the sweep's later pages: overdue and upcoming of two rules
      await shop.close()
    }).timeout(60_000)
  })
}

async function partition({ client }: Database, create: string): Promise<void> {
  await client.query(`DROP TABLE orders; ${create}
    CREATE TRIGGER log_change AFTER UPDATE ON orders FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION log_change()`)
}

/** A shop's past: settled orders of all years, and some that wait. */
async function fill({ client }: Database): Promise<void> {
  await client.query(`INSERT INTO orders (status, "confirmDueAt", "createdAt", "updatedAt")
    SELECT CASE WHEN n % 100 = 0 THEN 4 ELSE 3 END, CASE WHEN n % 100 = 0 THEN now() + interval '30 days' END, at, at
      FROM (SELECT n, timestamptz '2022-01-01' + n % 1700 * interval '1 day' AS at FROM generate_series(1, ${ROWS}) AS n) AS made`)
  await client.query('ANALYZE orders')
}

/**
 * Every statement of ours about orders from now on, each once, with values of one call. What a look at the rules has planned only is left out, but
 * for the later pages of a sweep: no page is full here.
 */
function watch(sequelize: Sequelize): Map<string, readonly unknown[]> {
  const seen = new Map<string, readonly unknown[]>()
  const query = sequelize.query.bind(sequelize) as (...args: unknown[]) => Promise<unknown>
  Object.assign(sequelize, {
    query: (text: unknown, options?: { bind?: readonly unknown[]; retry?: unknown }) => {
      const isOurs = options?.retry === OWN_OPTIONS.retry
      const sql = String(text)
      const isBegin = sql.startsWith('START TRANSACTION') // it names the table for a lock, and reads none of it
      const isWanted = sql.startsWith('EXPLAIN ') ? sql.includes(KEYSET) : sql.includes('"orders"') && !isBegin
      if (isOurs && isWanted) seen.set(sql.replace(/^EXPLAIN /, ''), options.bind ?? [])
      return query(text, options)
    },
  })
  return seen
}

/** Whether Postgres would read all rows of a partition. */
async function scans({ client }: Database, sql: string, bind: readonly unknown[]): Promise<boolean> {
  const { rows } = await client.query(`EXPLAIN (FORMAT JSON) ${sql}`, [...bind])
  const [{ Plan: plan }] = rows[0]['QUERY PLAN'] as [{ Plan: Plan }]
  return nodes(plan).some((node) => node['Node Type'] === 'Seq Scan')
}

function nodes(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodes)]
}
