import assert from 'node:assert/strict'
import type { Client } from 'pg'
import { startExpiryWorker, transition } from '../../lib/index.js'
import { Brake } from '../../lib/rows/brake.js'
import { History } from '../../lib/rows/history.js'
import { type Database, openDatabase, sequelizeOn } from '../support/database.js'
import { freePort } from '../support/free-port.js'
import { defineOrder } from '../support/order.js'
import { RedisServer } from '../support/redis-server.js'
import { refusal, refused } from '../support/refused.js'
import { makeTimers, openShop } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'

describe('timers.check()', () => {
  let database: Database

  beforeEach(async () => {
    database = await openDatabase()
  })

  afterEach(() => database.close())

  /** What the check says of the table as it is now. */
  const check = async () => {
    const timers = makeTimers(oneOfEach(database), { redis: false })
    try {
      await timers.check()
    } finally {
      await timers.close()
    }
  }
  const alter = (change: string) => database.client.query(`ALTER TABLE orders ${change}`)
  const invalidModel = (message: string, kind = 'order_confirm') => refusal('INVALID_MODEL', 500, `orderTimers: rule "${kind}": ${message}`)

  it('finds nothing wrong with a valid shop', async () => {
    const shop = await openShop(oneOfEach)
    await shop.timers.check()
    await shop.close()
  })

  it('says which column is missing, and the line that adds it', async () => {
    await alter('DROP COLUMN "confirmDueAt"')
    const message =
      'the table "orders" has no column "confirmDueAt"; add it with ALTER TABLE "orders" ADD COLUMN "confirmDueAt" timestamptz'
    assert.deepEqual(await refused(check), invalidModel(message))
    await database.client.query(message.split('add it with ')[1] as string)
    await check()
  })

  it('wants the deadline with a time zone, and gives each change as a comment, since only a person knows the zone', async () => {
    await alter('ALTER COLUMN "confirmDueAt" TYPE timestamp')
    const { code, message } = await refused(check)
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    const [first, , ...changes] = message.split('\n')
    assert.match(first ?? '', /"deadline": the column "confirmDueAt" of "orders" must be timestamp with time zone, it is timestamp without/)
    assert.ok(changes.length >= 2 && changes.every((line) => line.startsWith('-- ')), message)
    const change = changes.find((line) => line.includes("AT TIME ZONE 'UTC'")) ?? ''
    await database.client.query(change.slice(change.indexOf('ALTER')))
    await check()
    await alter('ALTER COLUMN "confirmDueAt" TYPE timestamptz(3)')
    await check()
  })

  it('says that there is no such table', async () => {
    await database.client.query('DROP TABLE orders CASCADE')
    const { code, message } = await refused(check)
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    assert.match(
      message,
      /^orderTimers: 3 things are wrong:\n- rule "order_confirm": there is no table "orders" .*\n- rule "order_pay": there/,
    )
  })

  it('says that Postgres does not answer', async () => {
    const port = await freePort()
    const away = sequelizeOn(`postgres://postgres:geheim@127.0.0.1:${port}/postgres`, 'public')
    const rules = { order_confirm: transition(defineOrder(away), { from: 4, to: 5, deadline: 'confirmDueAt' }) }
    const timers = makeTimers(rules, { redis: false })
    const message = `orderTimers: Postgres did not describe "orders" (connect ECONNREFUSED 127.0.0.1:${port})`
    assert.deepEqual(await refused(() => timers.check()), refusal('POSTGRES_UNAVAILABLE', 503, message))
    await timers.close()
    await away.close()
  })

  it('judges rights by what this process does: those of workers where one runs', async () => {
    const { client, schema } = database
    const role = `${schema}_web`
    for (const sql of Brake.createSql('order_timers_brakes')) await client.query(sql)
    for (const sql of History.createSql('order_timers_history')) await client.query(sql)
    await client.query(`CREATE ROLE ${role}; GRANT USAGE ON SCHEMA ${schema} TO ${role};
GRANT SELECT, UPDATE ("confirmDueAt") ON orders TO ${role}; GRANT SELECT, UPDATE ON order_timers_brakes TO ${role}`)
    const { sequelize, Order } = database.connectSequelize()
    sequelize.addHook('afterConnect', (connection) => (connection as Client).query(`SET ROLE ${role}`) as never)
    const rule = { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', history: true, brake: { max: 9, per: '1h' } } as const
    const timers = makeTimers({ order_confirm: transition(Order, { ...rule, set: { note: 'x' } }) }, { redis: false, logger: false })
    try {
      await timers.check()
      await client.query(`REVOKE UPDATE ("confirmDueAt") ON orders FROM ${role}`)
      assert.match(
        (await refused(() => timers.check())).message,
        /its statement for schedule cannot run: permission denied for table orders/,
      )
      await client.query(`GRANT UPDATE ("confirmDueAt") ON orders TO ${role}`)
      const worker = startExpiryWorker(timers, { fallback: false })
      await worker.ready
      assert.match((await refused(() => timers.check())).message, /"to" cannot run: permission denied for table orders/)
      await worker.stop()
      await timers.check()
    } finally {
      await timers.close()
      await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  })

  it('says that Redis does not answer', async () => {
    const port = await freePort()
    const timers = makeTimers(oneOfEach(database), { redis: `redis://:geheim@127.0.0.1:${port}` })
    const message = `orderTimers: Redis at 127.0.0.1:${port} db 0 does not answer (ECONNREFUSED); check that it runs and can be reached`
    assert.deepEqual(await refused(() => timers.check()), refusal('REDIS_UNAVAILABLE', 503, message))
    await timers.close()
  })

  it('refuses a node of a Redis cluster and a replica', async () => {
    const primary = await RedisServer.start()
    const replica = await RedisServer.start(['--replicaof', '127.0.0.1', String(primary.port)])
    const node = await RedisServer.start(['--cluster-enabled', 'yes'])
    const servers: [RedisServer, string][] = [
      [node, 'this Redis is a node of a cluster, which serves only a part of the keys; give its cluster: redis: { nodes: ["host:port"] }'],
      [replica, 'this Redis is a replica, which publishes no expiry events and takes no writes; give the primary, or Sentinels'],
    ]
    for (const [server, message] of servers) {
      const timers = makeTimers(oneOfEach(database), { redis: server.url })
      assert.deepEqual(
        await refused(() => timers.check()),
        refusal('REDIS_UNUSABLE', 503, `orderTimers: Redis at 127.0.0.1:${server.port} db 0 cannot serve: ${message}`),
      )
      await timers.close()
    }
    await Promise.all([node.stop(), replica.stop(), primary.stop()])
  })
})
