// Postgres crashed, down, frozen, silent, its connections terminated, its rows locked, deadlocks, serialization failures, timeouts. None of
// it is the rule's fault: no timer is lost, counted as failed or dead-lettered for it, and the others keep their lateness.

import assert from 'node:assert/strict'
import type { Client } from 'pg'
import { QueryTypes } from 'sequelize'
import { startExpiryWorker } from '../../lib/index.js'
import { connectByHand, type Database, sequelizeOn } from '../support/database.js'
import { DyingPostgres } from '../support/dying-postgres.js'
import { defineOrder } from '../support/order.js'
import { PostgresServer } from '../support/postgres-server.js'
import { refused } from '../support/refused.js'
import { makeTimers, openShop, type TestWorker, watched } from '../support/shop.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { inTime, waitForEvent, waitUntil } from '../support/waiting.js'
import { confirmed, confirming, countIn, EVERY_SECOND, ship, wereOnTime } from './confirming.js'
import { withPort } from './own-worker.js'

describe('When Postgres', () => {
  it('crashes in the middle of a batch, everything is settled once after its restart', async () => {
    const postgres = await PostgresServer.start()
    let inRule = (): void => {}
    const entered = new Promise<void>((resolve) => {
      inRule = resolve
    })
    let crashed = false
    const run = async () => {
      inRule()
      await waitUntil(() => crashed)
    }
    const shop = await openShop(confirming({ run }), { database: { url: postgres.url } })
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await ship(shop, 50, 300)
    await entered
    await postgres.crash()
    crashed = true
    await waitUntil(() => worker.faultsTold.some(({ code }) => code === 'POSTGRES_UNAVAILABLE'))
    await postgres.restart()
    await confirmed(shop, 50, 10_000)
    nothingWasCounted(worker)
    await waitUntil(() => worker.health().status === 'ok')
    await shop.close()
    await postgres.stop()
  })

  for (const [what, bring, heal] of [
    ['is shut down for three seconds', (postgres: PostgresServer) => postgres.shutDown(), (postgres: PostgresServer) => postgres.restart()],
    ['is frozen for three seconds', (postgres: PostgresServer) => postgres.pause(), (postgres: PostgresServer) => postgres.resume()],
  ] as const) {
    it(`${what}, what came due meanwhile is settled when it is back, and the rest is on time`, async () => {
      const postgres = await PostgresServer.start()
      const shop = await openShop(confirming(), { database: { url: postgres.url } })
      const worker = await shop.worker({ fallback: EVERY_SECOND })
      await ship(shop, 50, 2000)
      const later = await ship(shop, 50, 12_000)
      await bring(postgres)
      const end = performance.now() + 3000
      await waitUntil(() => performance.now() > end, { every: 100 })
      await heal(postgres)
      await confirmed(shop, 50, 8000)
      await confirmed(shop, 100, 15_000)
      await wereOnTime(shop.database, later, worker)
      nothingWasCounted(worker)
      await shop.close()
      await postgres.stop()
    })
  }

  it('goes silent on open connections, nothing is counted, and all is settled when it answers', async () => {
    const { proxy, shop } = await openProxied({ timeout: 1000 })
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await ship(shop, 20, 2000)
    proxy.silence()
    const end = performance.now() + 4000
    await waitUntil(() => performance.now() > end, { every: 100 })
    proxy.pass()
    await confirmed(shop, 20, 10_000)
    nothingWasCounted(worker)
    await shop.close()
    await proxy.stop()
  })

  it('does not come back on connections that went silent, new ones are made', async () => {
    const { proxy, shop } = await openProxied({ timeout: 1000 })
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await ship(shop, 20, 2000)
    proxy.silence()
    const end = performance.now() + 4000
    await waitUntil(() => performance.now() > end, { every: 100 })
    proxy.abandon()
    await confirmed(shop, 20, 10_000)
    nothingWasCounted(worker)
    await worker.stop()
    await proxy.stop() // first: Sequelize's pool waits for the farewell of connections that went silent while nobody used them
    await shop.close()
  })

  it('goes silent in the middle of a sweep, a worker stops within five seconds', async () => {
    const { proxy, shop } = await openProxied({})
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    const point = proxy.hold('json_agg')
    await point.seen
    await inTime(worker.stop(), 5_000, 'the worker to stop')
    assert.deepEqual(worker.faultsTold, [])
    await proxy.stop()
    await shop.close()
  })

  it('is silent while the tables are checked, the check still ends', async () => {
    const { proxy, shop } = await openProxied({})
    await shop.timers.check()
    proxy.silence()
    await assert.rejects(shop.timers.check(), /Postgres did not describe "orders"/)
    await proxy.stop()
    await shop.close()
  })

  it('commits and its answer is lost, the order is settled once and not counted', async () => {
    const { proxy, shop } = await openProxied({ run: async () => {} })
    const worker = await shop.worker({ fallback: false })
    proxy.dropReply('COMMIT', 1)
    await ship(shop, 20, 500)
    await confirmed(shop, 20)
    await waitUntil(() => worker.health().busy === 0)
    assert.equal(proxy.repliesDropped, 1)
    nothingWasCounted(worker)
    await shop.close()
    await proxy.stop()
  })

  it('terminates connections all the time, nothing is lost', async () => {
    const shop = await openShop(confirming({ run: async () => {} }), { database: { settings: { application_name: 'the_shop' } } })
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await ship(shop, 200, 1000)
    const admin = await shop.database.connect()
    await waitUntil(
      async () => {
        await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'the_shop' AND random() < 0.5")
        return (await shop.database.ledger.changes()).length >= 200
      },
      { within: 15_000, every: 100 },
    )
    await confirmed(shop, 200)
    nothingWasCounted(worker)
    await shop.close()
  })

  it('has a row locked by somebody, the others are on time and that one follows the release', async () => {
    const shop = await openShop(confirming())
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    const ids = await ship(shop, 50, 3000)
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query('SELECT FROM orders WHERE id = $1 FOR UPDATE', [ids[10]])
    await confirmed(shop, 49)
    const others = ids.filter((_, i) => i !== 10)
    await wereOnTime(shop.database, others, worker)
    const end = performance.now() + 2000
    await waitUntil(() => performance.now() > end, { every: 100 })
    assert.equal(await countIn(shop.database, 5), 49)
    await holder.query('ROLLBACK')
    await confirmed(shop, 50, 4000)
    nothingWasCounted(worker)
    await shop.close()
  })

  it('has its pool exhausted by the shop, orders are settled when a connection is free', async () => {
    const shop = await openShop(confirming(), { database: { pool: { max: 3, acquire: 1000 } } })
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await ship(shop, 20, 3000)
    const held = await Promise.all([1, 2, 3].map(() => shop.database.sequelize.transaction()))
    const end = performance.now() + 5000
    await waitUntil(() => performance.now() > end, { every: 100 })
    assert.equal(await countIn(shop.database, 5), 0)
    await Promise.all(held.map((transaction) => transaction.rollback()))
    await confirmed(shop, 20)
    nothingWasCounted(worker)
    await shop.close()
  })

  it('makes every transaction serializable by default, everything works as before', async () => {
    const isolations = new Set<unknown>()
    const shop = await openShop(
      (database) =>
        confirming({
          run: async (_orders, { transaction }) => {
            const sql = "SELECT current_setting('transaction_isolation') AS isolation"
            const [row] = await database.sequelize.query<{ isolation: string }>(sql, { transaction, type: QueryTypes.SELECT })
            isolations.add(row?.isolation)
          },
        })(database),
      { database: { settings: { default_transaction_isolation: 'serializable' } } },
    )
    const [one, two] = [await shop.worker(), await shop.worker()]
    await ship(shop, 200, 800)
    await confirmed(shop, 200)
    nothingWasCounted(one)
    nothingWasCounted(two)
    assert.deepEqual([...isolations], ['read committed'])
    await shop.close()
  })

  it('ends a deadlock against the rule, no attempt is counted', async () => {
    const shop = await openShop((database) =>
      confirming({
        attempts: 1,
        run: async (_orders, { transaction }) => {
          await database.sequelize.query('UPDATE shelves SET n = n + 1', { transaction })
        },
      })(database),
    )
    await shop.database.client.query('CREATE TABLE shelves (n int); INSERT INTO shelves VALUES (0)')
    const worker = await shop.worker()
    const rival = await shop.database.connect()
    await rival.query("SET deadlock_timeout = '30s'") // so that it is the worker whom Postgres ends
    await rival.query('BEGIN')
    await rival.query('UPDATE shelves SET n = n + 1')
    const [id] = await ship(shop, 1, 500)
    await waitUntil(async () => (await waitingFor(shop.database, 'shelves')) > 0)
    await Promise.race([rival.query('UPDATE orders SET note = $2 WHERE id = $1', [id, 'rival']), waitForEvent(worker, 'fault')])
    await rival.query('COMMIT')
    await confirmed(shop, 1)
    nothingWasCounted(worker)
    await shop.close()
  })

  it('is too slow for a batch, its orders are settled in smaller ones and nothing is counted', async () => {
    const shop = await openShop(confirming({ timeout: 700 }))
    await shop.database.client.query(`
      CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$;
      CREATE TRIGGER be_slow BEFORE UPDATE OF status ON orders FOR EACH ROW EXECUTE FUNCTION be_slow()`)
    const worker = await shop.worker({ fallback: false })
    await ship(shop, 20, 500)
    await confirmed(shop, 20, 15_000)
    nothingWasCounted(worker)
    await shop.close()
  })

  it('refuses writes for a while, nothing is counted', async () => {
    const shop = await openShop(confirming())
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await shop.database.client.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'cannot execute UPDATE in a read-only transaction' USING ERRCODE = '25006'; END $$;
      CREATE TRIGGER refuse BEFORE UPDATE OF status ON orders FOR EACH ROW EXECUTE FUNCTION refuse()`)
    await ship(shop, 20, 1000)
    await waitForEvent(worker, 'fault', { where: ({ code }: { code: string }) => code === 'POSTGRES_UNAVAILABLE' })
    await shop.database.client.query('DROP TRIGGER refuse ON orders')
    await confirmed(shop, 20)
    nothingWasCounted(worker)
    await shop.close()
  })

  it('has a trigger that raises for one order, that order fails alone and is counted', async () => {
    const shop = await openShop(confirming({ attempts: 1 }))
    await shop.database.client.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
      CREATE TRIGGER refuse BEFORE UPDATE OF status ON orders FOR EACH ROW WHEN (OLD.id % 60 = 31) EXECUTE FUNCTION refuse()`)
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    const dead = waitForEvent<[{ id: string }]>(worker, 'dead', { within: 10_000 })
    const ids = await ship(shop, 60, 800)
    assert.equal((await dead)[0].id, String(ids.find((id) => id % 60 === 31)))
    await confirmed(shop, 59)
    await shop.close()
  })

  it('is down at a request, the error is coded, with status 503', async () => {
    const postgres = await PostgresServer.start()
    const shop = await openShop(confirming(), { database: { url: postgres.url } })
    const [id] = await ship(shop, 1, 60_000)
    await postgres.crash()
    await assert.rejects(shop.timers.remaining('order_confirm', id!)) // by it the pool learns that its connection is dead
    await assert.rejects(shop.timers.schedule('order_confirm', id!), { code: 'ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE', status: 503 })
    await assert.rejects(shop.timers.remaining('order_confirm', id!), { code: 'ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE', status: 503 })
    await shop.close()
    await postgres.stop()
  })

  it('ends a connection with its first message, the process lives, the call reports it and nothing is counted', async () => {
    const postgres = await DyingPostgres.start()
    const sequelize = sequelizeOn(postgres.url, 'public')
    const rules = confirming()({ Order: defineOrder(sequelize) } as Database)
    const timers = makeTimers(rules, { redis: false })
    const { code, status } = await refused(() => timers.schedule('order_confirm', 34))
    assert.deepEqual([code, status], ['ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE', 503])
    const worker = watched(startExpiryWorker(timers, { fallback: EVERY_SECOND }))
    const before = postgres.accepted
    await waitUntil(() => postgres.accepted >= before + 5)
    nothingWasCounted(worker)
    await worker.stop()
    await timers.close()
    await sequelize.close()
    await postgres.stop()
  })

  it('has no connection left, a call is refused with the reason, and orders are settled when there is one', async () => {
    const postgres = await PostgresServer.start({ max_connections: '12', superuser_reserved_connections: '0', reserved_connections: '0' })
    const shop = await openShop(confirming(), { database: { url: postgres.url, pool: { max: 4, idle: 100, evict: 100 } } })
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    const [id] = await ship(shop, 20, 1500)
    const crowd: Client[] = []
    const fill = async () => {
      for (;;) crowd.push(await connectByHand(postgres.url, 'public'))
    }
    await waitUntil(async () => {
      await fill().catch(() => {})
      return worker.faultsTold.some(({ code }) => code === 'POSTGRES_UNAVAILABLE')
    })
    const { code, message } = await refused(() => shop.timers.schedule('order_confirm', id!))
    assert.equal(code, 'ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE')
    assert.match(message, /too many clients/)
    await Promise.all(crowd.map((client) => client.end()))
    await confirmed(shop, 20, 10_000)
    nothingWasCounted(worker)
    await shop.close()
    await postgres.stop()
  })
})

/** A shop whose Sequelize stands behind a proxy, and whose looks and changes by hand do not. */
async function openProxied(more: Parameters<typeof confirming>[0]) {
  const proxy = await TcpProxy.start(Number(new URL(process.env.DATABASE_URL as string).port))
  const shop = await openShop((database) => {
    const url = withPort(database.url, proxy.port)
    return confirming(more)({ ...database, ...database.connectSequelize({ url }) })
  })
  return { proxy, shop }
}

function nothingWasCounted(worker: TestWorker): void {
  const { failed, dead } = worker.health().kinds.order_confirm!
  assert.deepEqual({ failed, dead }, { failed: 0, dead: 0 })
}

/** How many sessions wait for a lock with a statement about this table. */
async function waitingFor({ client }: Database, table: string): Promise<number> {
  const sql = "SELECT count(*)::int AS count FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'"
  return (await client.query<{ count: number }>(sql, [table])).rows[0]?.count ?? 0
}
