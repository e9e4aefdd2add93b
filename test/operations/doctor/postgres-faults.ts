// Faults of Postgres: of its tables, indexes, values, rights and locks. Those of a whole server have one of their own.

import assert from 'node:assert/strict'
import { Client } from 'pg'
import { transition } from '../../../lib/index.js'
import type { Database } from '../../support/database.js'
import { CREATE_ORDERS } from '../../support/order.js'
import { PostgresServer } from '../../support/postgres-server.js'
import { waitUntil } from '../../support/waiting.js'
import type { Fault, StagedFault } from './fault.js'
import { Stage, type StageOptions } from './staging.js'

type Staging = (stage: Stage) => Promise<Omit<StagedFault, 'stage'> | undefined>

function staged(setUp: Staging, options: StageOptions = {}): () => Promise<StagedFault> {
  return async () => {
    const stage = await Stage.open(options)
    return { ...((await setUp(stage)) ?? {}), stage }
  }
}

/** By SQL alone. */
function bySql(...sql: string[]): () => Promise<StagedFault> {
  return staged(async ({ database }) => {
    for (const one of sql) await database.client.query(one)
    return undefined
  })
}

function onServer(settings: Record<string, string>, setUp: (stage: Stage, server: PostgresServer) => Promise<Omit<StagedFault, 'stage'>>) {
  return async (): Promise<StagedFault> => {
    const server = await PostgresServer.start(settings)
    const stage = await Stage.open({ database: { url: server.url } })
    const more = await setUp(stage, server)
    const end = async () => {
      await more.end?.()
      await server.stop()
    }
    return { ...more, stage, end }
  }
}

/** The same database by another address or user. */
function by({ database }: Stage, change: (url: URL) => void): Database {
  const url = new URL(database.url)
  change(url)
  return { ...database, ...database.connectSequelize({ url: url.href }) }
}

/** A session that holds a lock for longer than any of ours waits. */
async function holding({ database }: Stage, ...sql: string[]): Promise<Client> {
  const client = await database.connect()
  for (const one of sql) await client.query(one)
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
  const age = 'SELECT extract(epoch FROM clock_timestamp() - xact_start) > 5.5 AS long FROM pg_stat_activity WHERE pid = $1'
  await waitUntil(async () => (await database.client.query(age, [rows[0].pid])).rows[0]?.long !== false, { every: 200 })
  return client
}

const DUE = `INSERT INTO orders (status, "confirmDueAt", "createdAt", "updatedAt") VALUES (4, now() - interval '1 second', now(), now())`

const withRule = (more: object) => ({
  rules: ({ Order }: Database) => ({
    order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', ...more }),
  }),
})

export const POSTGRES_FAULTS: Fault[] = [
  {
    what: 'Postgres is down',
    name: 'postgres.reachable',
    stage: onServer({}, async (_, server) => {
      await server.crash()
      return { byHand: () => server.restart() }
    }),
  },
  {
    what: 'Postgres has no connection left',
    name: 'postgres.reachable',
    stage: onServer({ max_connections: '12', superuser_reserved_connections: '1' }, async (stage) => {
      const { sequelize, client, url } = stage.database
      await sequelize.close()
      stage.look({}, { ...stage.database, ...stage.database.connectSequelize() })
      const { rows } = await client.query(
        "SELECT current_setting('max_connections')::int - count(*)::int AS left FROM pg_stat_activity WHERE backend_type = 'client backend'",
      )
      const clients = Array.from({ length: rows[0].left }, () => new Client(url))
      for (const one of clients) one.on('error', () => {})
      await Promise.allSettled(clients.map((one) => one.connect()))
      const end = () => Promise.allSettled(clients.splice(0).map((one) => one.end()))
      return { byHand: end, end }
    }),
  },
  {
    what: 'The database takes no writes',
    name: 'postgres.writable',
    also: ['rule.tables'],
    stage: onServer({}, async (stage) => {
      await stage.database.client.query('ALTER DATABASE postgres SET default_transaction_read_only = on')
      const again = () => stage.look({}, { ...stage.database, ...stage.database.connectSequelize() })
      again()
      await stage.database.client.query('SET default_transaction_read_only = off')
      return { byHand: async () => again() }
    }),
  },
  {
    what: 'Postgres does not know the role',
    name: 'postgres.reachable',
    stage: staged(async (stage) => {
      stage.look(
        {},
        by(stage, (url) => {
          url.username = 'nobody_of_that_name'
        }),
      )
      return {
        byHand: async () =>
          stage.look(
            {},
            by(stage, () => {}),
          ),
      }
    }),
  },
  {
    what: 'The table of the orders is missing',
    name: 'rule.tables',
    also: ['sweep.index'],
    stage: staged(async ({ database }) => {
      await database.client.query('DROP TABLE orders')
      return { byHand: () => database.client.query(CREATE_ORDERS) }
    }),
  },
  {
    what: 'The column of the deadline is missing',
    name: 'rule.tables',
    also: ['sweep.index'],
    stage: bySql('ALTER TABLE orders DROP COLUMN "confirmDueAt"'),
  },
  {
    what: 'The column of the deadline has no time zone',
    name: 'rule.tables',
    stage: staged(async ({ database }) => {
      await database.client.query(`ALTER TABLE orders ALTER COLUMN "confirmDueAt" TYPE timestamp USING "confirmDueAt" AT TIME ZONE 'UTC'`)
      return { picks: ({ text }) => !/AT TIME ZONE/.test(text) || /AT TIME ZONE 'UTC'/.test(text) }
    }),
  },
  {
    what: 'The column of the deadline is NOT NULL',
    name: 'rule.tables',
    stage: bySql('ALTER TABLE orders ALTER COLUMN "confirmDueAt" SET NOT NULL'),
  },
  {
    what: 'A status has no row in the table of statuses',
    name: 'rule.tables',
    stage: bySql(
      'CREATE TABLE statuses (id int PRIMARY KEY); INSERT INTO statuses VALUES (0), (1), (4); ALTER TABLE orders ADD FOREIGN KEY (status) REFERENCES statuses',
    ),
  },
  {
    what: 'A constraint refuses the status that a rule writes',
    name: 'rule.tables',
    stage: staged(async ({ database }) => {
      await database.client.query('ALTER TABLE orders ADD CONSTRAINT known CHECK (status IN (0, 1, 4))')
      return { byHand: () => database.client.query('ALTER TABLE orders DROP CONSTRAINT known') }
    }),
  },
  {
    what: 'The table of the history is missing',
    name: 'rule.tables',
    stage: staged(
      async ({ database }) => void (await database.client.query('DROP TABLE order_timers_history')),
      withRule({ history: true }),
    ),
  },
  {
    what: 'The table of the brakes is missing',
    name: 'rule.tables',
    stage: staged(
      async ({ database }) => void (await database.client.query('DROP TABLE order_timers_brakes')),
      withRule({ brake: { max: 9, per: '1h' } }),
    ),
  },
  {
    what: 'The table of processes is missing',
    name: 'processes.table',
    verdict: 'advice',
    stage: bySql('DROP TABLE order_timers_processes'),
  },
  {
    what: 'The role of Postgres may not write the orders',
    name: 'rule.tables',
    stage: staged(async (stage) => {
      const { client, schema } = stage.database
      await client.query(
        `CREATE ROLE ${schema} LOGIN PASSWORD 'plain'; GRANT USAGE ON SCHEMA ${schema} TO ${schema}; GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${schema}`,
      )
      stage.look(
        {},
        by(stage, (url) => Object.assign(url, { username: schema, password: 'plain' })),
      )
      return { end: () => client.query(`DROP OWNED BY ${schema}; DROP ROLE ${schema}`) }
    }),
  },
  { what: 'There is no index on the deadline', name: 'sweep.index', stage: bySql('DROP INDEX "orders_confirmDueAt_due"') },
  { what: 'There is no index for a rule with "since"', name: 'sweep.index', stage: bySql('DROP INDEX "orders_status_createdAt"') },
  {
    what: 'The building of the index was interrupted',
    name: 'sweep.index',
    stage: bySql(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = '"orders_confirmDueAt_due"'::regclass`),
  },
  {
    what: 'Postgres reads a large table from end to end although there is an index',
    name: 'sweep.plan',
    stage: staged(async (stage) => {
      const { client, schema } = stage.database
      await client.query(`INSERT INTO orders (status, "confirmDueAt", "createdAt", "updatedAt")
SELECT 4, now() + i * interval '1 hour', now(), now() FROM generate_series(1, 20000) AS i; ANALYZE orders`)
      await client.query(`CREATE ROLE ${schema} LOGIN SUPERUSER PASSWORD 'plain'; ALTER ROLE ${schema} SET random_page_cost = 100000000`)
      const again = () =>
        stage.look(
          {},
          by(stage, (url) => Object.assign(url, { username: schema, password: 'plain' })),
        )
      again()
      return { byHand: async () => again(), end: () => client.query(`DROP OWNED BY ${schema}; DROP ROLE ${schema}`) }
    }),
  },
  {
    what: 'A session holds a lock on the table',
    name: 'locks.table',
    stage: staged(async (stage) => void (await holding(stage, 'BEGIN', 'LOCK TABLE orders IN SHARE MODE'))),
  },
  {
    what: 'A session holds a lock on the row of a due order',
    name: 'locks.row',
    also: ['orders.overdue'],
    stage: staged(async (stage) => {
      await stage.database.client.query(DUE)
      await holding(stage, 'BEGIN', 'SELECT * FROM orders FOR UPDATE')
      return undefined
    }),
  },
  {
    what: 'A prepared transaction holds a lock on the row of a due order',
    name: 'locks.row',
    also: ['orders.overdue'],
    stage: onServer({ max_prepared_transactions: '5' }, async ({ database: { client } }) => {
      await client.query(DUE)
      await client.query('BEGIN')
      await client.query('UPDATE orders SET total = 1')
      await client.query("PREPARE TRANSACTION 'forgotten'")
      await client.query('BEGIN')
      await client.query('SELECT txid_current()')
      await client.query("PREPARE TRANSACTION 'another'")
      const takesEffect = async () => {
        const { rows } = await client.query('SELECT gid FROM pg_prepared_xacts')
        assert.deepEqual(rows, [{ gid: 'another' }], 'it ends a transaction that holds no lock on an order')
      }
      return { takesEffect }
    }),
  },
  {
    what: 'A prepared transaction holds a lock on the table',
    name: 'locks.table',
    stage: onServer({ max_prepared_transactions: '5' }, async ({ database: { client } }) => {
      await client.query('BEGIN')
      await client.query('LOCK TABLE orders IN SHARE MODE')
      await client.query("PREPARE TRANSACTION 'forgotten'")
      const isOld = "SELECT bool_and(now() - prepared > interval '5.5 s') AS old FROM pg_prepared_xacts"
      await waitUntil(async () => (await client.query(isOld)).rows[0]?.old, { within: 15_000, every: 200 })
      return {}
    }),
  },
  {
    what: "A session keeps the sweep's lock",
    name: 'locks.sweep',
    stage: staged(async (stage) => {
      const lock = `express-order-timers:sweep:${stage.shop.redis.prefix}order_confirm:"orders"`
      const client = await stage.database.connect()
      await client.query('SELECT pg_advisory_lock(hashtextextended(concat($1::text, current_schema()), 0))', [lock])
      return undefined
    }),
  },
]
