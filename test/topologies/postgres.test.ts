// Postgres as shops have it: behind PgBouncer, with a replica that is late for reads, with a standby that takes over, over TLS.

import assert from 'node:assert/strict'
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Options } from 'sequelize'
import { status } from '../../lib/admin/status.js'
import { confirming } from '../faults/confirming.js'
import type { Database } from '../support/database.js'
import { PgBouncer } from '../support/pgbouncer.js'
import { PostgresServer } from '../support/postgres-server.js'
import { postgresUser } from '../support/postgres-user.js'
import { refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { VALID } from '../support/tls-server.js'
import { waitUntil } from '../support/waiting.js'
import { allWereSettled, burst, webProcess } from './bursts.js'

const COUNT = 2_000
const EVERY_TEN_SECONDS = '*/10 * * * * *'
const LIMITS = { lateMs: 20_000, within: 40_000 }

type Connection = Options & { url?: string }

describe('A shop', () => {
  /** A shop with a worker and a web process, over connections of this kind; looks and changes by hand go to `url`. */
  const start = async (url: string, connect: (database: Database) => Connection) => {
    const shop = await openShop((database) => confirming()({ ...database, ...database.connectSequelize(connect(database)) }), {
      database: { url },
    })
    const web = webProcess(shop.database, { redis: shop.redis.url, prefix: shop.redis.prefix }, connect(shop.database))
    const worker = await shop.worker({ fallback: EVERY_TEN_SECONDS })
    const stop = async () => {
      await web.close()
      await shop.close()
    }
    return { shop, web, worker, stop }
  }

  it('behind PgBouncer in transaction mode, two connections for all and a schema of its own, loses nothing when PgBouncer is killed', async function () {
    if (!process.env.PGBOUNCER) this.skip()
    const url = process.env.DATABASE_URL as string
    const bouncer = await PgBouncer.start(Number(new URL(url).port), 2)
    const { shop, web, worker, stop } = await start(url, ({ schema }) => ({
      ...{ url: bouncer.url, define: { schema } },
      dialectOptions: { options: undefined as never },
    }))
    const { half, done } = burst(shop.database, web, COUNT, { failsOver: true })
    await half
    await bouncer.restart()
    await done
    await allWereSettled(shop.database, COUNT, LIMITS)
    await waitUntil(() => worker.health().status === 'ok')
    assert.equal((await status(runtimeOf(shop.timers))).ok, true)
    await stop()
    await bouncer.stop()
  }).timeout(120_000)

  it('whose reads go to a replica that is fifteen seconds late settles by what the primary has', async () => {
    const primary = await PostgresServer.start()
    const replica = await primary.startStandby({ recovery_min_apply_delay: '15s' })
    const replication = ({ schema }: Database): Connection => {
      const at = (port: number) => ({
        ...{ host: '127.0.0.1', port: String(port), username: 'postgres', password: '', database: 'postgres' },
        dialectOptions: { options: `-c search_path=${schema}` },
      })
      return { replication: { write: at(primary.port), read: [at(replica.port)] } } as never
    }
    const { shop, web, worker, stop } = await start(primary.url, replication)
    const { half, done } = burst(shop.database, web, COUNT)
    await half
    const { Order } = shop.database.connectSequelize(replication(shop.database))
    const { id } = await Order.create({ status: 1 })
    await assert.rejects(Order.findByPk(id, { rejectOnEmpty: true })) // whoever reads at the replica does not see it yet
    await done
    await allWereSettled(shop.database, COUNT, { ...LIMITS, lateMs: 10_000 })
    await waitUntil(() => worker.health().status === 'ok')
    await stop()
    await replica.stop()
    await primary.stop()
  }).timeout(120_000)

  it('whose primary dies and whose standby takes over at the same address loses nothing', async () => {
    const primary = await PostgresServer.start()
    // What was committed is on both: only then may nothing be lost.
    const standby = await primary.startStandby({}, { synchronous_standby_names: 'standby' })
    const proxy = await TcpProxy.start(primary.port)
    const url = `postgres://postgres@127.0.0.1:${proxy.port}/postgres`
    const { shop, web, worker, stop } = await start(url, () => ({}))
    const { half, done } = burst(shop.database, web, COUNT, { failsOver: true })
    await half
    await primary.crash()
    proxy.lead(standby.port)
    proxy.reset()
    await waitUntil(() => worker.faultsTold.some(({ code }) => code === 'POSTGRES_UNAVAILABLE'))
    const admin = await shop.database.connect()
    await admin.query('SELECT pg_promote()')
    await done
    await allWereSettled(shop.database, COUNT, LIMITS)
    await waitUntil(() => worker.health().status === 'ok')
    await stop()
    await proxy.stop()
    await Promise.all([primary.stop(), standby.stop()])
  }).timeout(120_000)

  it('over TLS works, and a certificate that does not hold is named by the error', async () => {
    const postgres = await PostgresServer.start()
    const [certificate, key] = [join(postgres.directory, 'server.crt'), join(postgres.directory, 'server.key')]
    await writeFile(certificate, VALID.cert)
    await writeFile(key, VALID.key, { mode: 0o600 })
    const user = postgresUser()
    if (user !== undefined) await Promise.all([certificate, key].map((file) => chown(file, user.uid, user.gid)))
    await postgres.restart({ ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key })
    const ssl = { ca: VALID.cert, servername: 'redis.test' }
    const { shop, web, worker, stop } = await start(postgres.url, ({ schema }) => ({
      dialectOptions: { ssl, options: `-c search_path=${schema}` } as never,
    }))
    const { done } = burst(shop.database, web, 50)
    await done
    await allWereSettled(shop.database, 50, LIMITS)
    const { rows } = await shop.database.client.query('SELECT count(*)::int AS n FROM pg_stat_ssl WHERE ssl')
    assert.ok(rows[0].n > 0)
    const wrong = webProcess(
      shop.database,
      { redis: false },
      { dialectOptions: { ssl: { ca: VALID.cert, servername: 'other.test' } } as never },
    )
    const { code, message } = await refused(() => wrong.schedule('order_confirm', 1, { after: 1000 }))
    assert.equal(code, 'ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE')
    assert.match(message, /Host: other\.test\. is not in the cert's altnames/)
    await wrong.close()
    await waitUntil(() => worker.health().status === 'ok')
    await stop()
    await postgres.stop()
  }).timeout(60_000)
})
