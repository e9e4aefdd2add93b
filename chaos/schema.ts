// What a chaos run has in Postgres: the shop's tables, what the rules need, the printed trigger on parcels, the effects, the ledger.

import type { ClientBase } from 'pg'
import type { Sequelize } from 'sequelize'
import { migration } from '../lib/admin/migration.js'
import { type OrderTimers, orderTimers } from '../lib/index.js'
import { RUNTIME, type Runtime } from '../lib/timers/runtime.js'
import { brakeLedgerSql } from './judge/brake-ledger.js'
import { ledgerSql } from './ledger.js'
import { makeRules, TRIGGERED } from './rules.js'
import { defineTables } from './tables.js'

/** Creates everything in a schema that is there. The trigger is the one that `order-timers migration --trigger` prints. */
export async function createTables(client: ClientBase, sequelize: Sequelize, schema: string): Promise<void> {
  const tables = defineTables(sequelize)
  await sequelize.sync()
  const timers = orderTimers({ logger: false, redis: false, rules: makeRules(tables, sequelize) })
  const runtime = (timers as unknown as OrderTimers & { [RUNTIME]: Runtime })[RUNTIME]
  const needed = [...migration(runtime).up, ...migration(runtime, { kinds: TRIGGERED, trigger: true }).up]
  for (const statement of needed) await client.query(statement)
  await timers.close()
  await client.query(ledgerSql(schema))
  await client.query(brakeLedgerSql(schema))
}
