// A schema of a test's own in a Postgres (DATABASE_URL unless told otherwise) with a table of orders, a Sequelize instance with its
// model, a plain client for looks and changes by hand, and the ledger. `close` drops it all.

import { randomBytes } from 'node:crypto'
import pg, { Client, type ClientConfig, Pool } from 'pg'
import { type ModelStatic, type Options, Sequelize } from 'sequelize'
import { BY_HAND, Ledger, type LedgerOptions } from './ledger.js'
import { enter } from './opened.js'
import { CREATE_ORDERS, defineOrder, type OrderRow } from './order.js'

export interface DatabaseOptions {
  url?: string
  pool?: Options['pool']
  ledger?: LedgerOptions
  /** Postgres's settings for Sequelize's connections, such as `{ default_transaction_isolation: 'serializable' }`. */
  settings?: Record<string, string>
  /** More of Sequelize's options. */
  sequelize?: Options
}

export interface Database {
  readonly url: string
  readonly schema: string
  readonly sequelize: Sequelize
  readonly Order: ModelStatic<OrderRow>
  readonly ledger: Ledger
  /** A connection that nothing else uses, made anew when it is lost with its server. What it changes counts as done by hand. */
  readonly client: Pool
  /** Another such connection, to hold a lock or be killed with; the database closes it. */
  connect(): Promise<Client>
  /** Another Sequelize on the same schema, as another process would have it, with its model; the database closes it. */
  connectSequelize(options?: Options & { url?: string }): { sequelize: Sequelize; Order: ModelStatic<OrderRow> }
  close(): Promise<void>
}

export async function openDatabase(options: DatabaseOptions = {}): Promise<Database> {
  const url = options.url ?? process.env.DATABASE_URL
  if (url === undefined) throw new Error('DATABASE_URL is not set; run the tests by `npm test`')
  const schema = `t_${randomBytes(6).toString('hex')}`
  const clients: Client[] = []
  const sequelizes: Sequelize[] = []
  const drop = `DROP SCHEMA IF EXISTS ${schema} CASCADE`

  const connect = async (): Promise<Client> => {
    const client = await connectByHand(url, schema)
    clients.push(client)
    return client
  }
  const connectSequelize = ({ url: other = url, ...more }: Options & { url?: string } = {}) => {
    const all = { databaseVersion, ...(options.pool && { pool: options.pool }), ...options.sequelize, ...more }
    const sequelize = sequelizeOn(other, schema, all, options.settings)
    sequelizes.push(sequelize)
    return { sequelize, Order: defineOrder(sequelize) }
  }
  const close = async (): Promise<void> => {
    await Promise.allSettled(sequelizes.splice(0).map((sequelize) => sequelize.close()))
    await Promise.allSettled(clients.splice(0).map((one) => one.end()))
    await client.query(drop).catch(() => dropAnew(url, drop))
    await client.end().catch(() => {}) // by a test that closed the database itself
    strikeOut()
  }
  const strikeOut = enter(`database schema ${schema}`, close)

  const client = new Pool({ ...byHand(url, schema), max: 1, idleTimeoutMillis: 0 })
  client.on('error', () => {})
  await client.query(`CREATE SCHEMA ${schema}; ${CREATE_ORDERS} ${Ledger.sql(options.ledger)}`)
  const { rows } = await client.query('SHOW server_version_num')
  // Sequelize would open a connection to ask for it, and close it again.
  const databaseVersion = `${Math.floor(rows[0].server_version_num / 10_000)}.0.0`
  const { sequelize, Order } = connectSequelize()
  const ledger = Ledger.on(client)
  return { url, schema, sequelize, Order, ledger, client, connect, connectSequelize, close }
}

/** A Sequelize whose connections find the schema's tables first, silent. */
export function sequelizeOn(url: string, schema: string, options: Options = {}, settings: Record<string, string> = {}): Sequelize {
  const { dialectOptions, ...rest } = options
  const flags = Object.entries({ search_path: schema, ...settings }).map(([name, value]) => `-c ${name}=${value}`)
  return new Sequelize(url, {
    logging: false,
    dialectModule: pg, // which Sequelize would load by its name, and so once more where this is bundled
    ...rest,
    dialectOptions: { options: flags.join(' '), ...dialectOptions },
  })
}

/** A client whose changes the ledger knows as done by hand. A server that goes away doesn't end the process. */
export async function connectByHand(url: string, schema: string): Promise<Client> {
  const client = new Client(byHand(url, schema))
  client.on('error', () => {})
  await client.connect()
  return client
}

function byHand(url: string, schema: string): ClientConfig {
  return { connectionString: url, options: `-c search_path=${schema}`, application_name: BY_HAND }
}

/** Over a connection of its own. A server that is down keeps the schema; its data go with the server. */
async function dropAnew(url: string, drop: string): Promise<void> {
  const client = await connectByHand(url, 'public').catch(() => undefined)
  if (client === undefined) return
  await client.query(drop)
  await client.end()
}
