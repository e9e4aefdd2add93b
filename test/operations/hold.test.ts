import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type OrderTimers, orderTimers } from '../../lib/index.js'
import { HOLDS_TABLE, Holds } from '../../lib/rows/holds.js'
import { ChildProgram } from '../support/child-program.js'
import { type Database, openDatabase } from '../support/database.js'
import { PostgresServer } from '../support/postgres-server.js'
import { RedisServer } from '../support/redis-server.js'
import { waitUntil } from '../support/waiting.js'
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.js'
import { makeRules } from './hold-rules.js'

const RULES = new URL('./hold-rules.ts', import.meta.url).href
const RELEASE = new URL('./hold-release-main.ts', import.meta.url)
const WHY = { reason: 'the provider is down', by: 'on call' }
const ROUNDS = { withRedis: 88, withoutRedis: 12 }
const MANY = 20_000

/** How long each hold is watched. */
const WATCHED_MS = 40

describe('hold, beside working workers', () => {
  let postgres: PostgresServer
  let redis: RedisServer
  let database: Database
  let timers: OrderTimers<ReturnType<typeof makeRules>>
  let workers: WorkerProcess[] = []

  beforeEach(async () => {
    ;[postgres, redis] = await Promise.all([PostgresServer.start({ track_commit_timestamp: 'on' }), RedisServer.start()])
    database = await openDatabase({ url: postgres.url })
    for (const sql of Holds.createSql(HOLDS_TABLE)) await database.client.query(sql)
    timers = orderTimers({ logger: false, redis: redis.url, rules: makeRules(database.Order) })
  })

  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.kill()))
    await timers.close()
    await database.close()
    await Promise.all([postgres.stop(), redis.stop()])
  })

  const sql = async <Row>(text: string, values: unknown[] = []) => (await database.client.query(text, values)).rows as Row[]
  const startWorker = async (name: string) =>
    workers.push(
      await startWorkerProcess({
        ...{ databaseUrl: postgres.url, schema: database.schema, redisUrl: redis.url, prefix: '', rules: RULES, name },
        fallback: '* * * * * *',
      }),
    )
  const instant = async () => (await sql<{ at: string }>('SELECT clock_timestamp()::text AS at'))[0]?.at as string

  it('lets no settlement commit once it has returned, a hundred times, also without Redis and across restarts', async function () {
    this.timeout(240_000)
    workers = []
    await Promise.all(['one', 'two', 'three'].map(startWorker))
    let feeding = true
    const feeder = await database.connect()
    const fed = (async () => {
      while (feeding) {
        await feeder.query(`INSERT INTO orders (status, "confirmDueAt", "createdAt", "updatedAt")
SELECT 4, clock_timestamp() + n * interval '3 milliseconds', now(), now() FROM generate_series(1, 40) AS n`)
        await delay(40)
      }
    })()
    const held: [string, string][] = []
    const round = async (meanwhile: () => Promise<unknown> = () => delay(WATCHED_MS)) => {
      await timers.hold('order_confirm', WHY)
      const from = await instant()
      await meanwhile()
      held.push([from, await instant()])
      await timers.release('order_confirm')
    }
    await waitUntil(async () => (await sql('SELECT 1 FROM orders WHERE status = 5 LIMIT 1')).length > 0)
    for (let n = 0; n < ROUNDS.withRedis; n++) await Promise.all([round(), delay(120)])
    await round(async () => {
      await workers.shift()?.kill()
      await startWorker('four')
      await delay(WATCHED_MS)
    })
    await redis.kill()
    for (let n = 0; n < ROUNDS.withoutRedis; n++) {
      await round()
      await delay(n % 4 === 0 ? 1_200 : 100) // a sweep may fall into the hold, or between two
    }
    feeding = false
    await fed
    const all = `SELECT pg_xact_commit_timestamp(xmin) AS at FROM orders WHERE status = 5`
    const [spans] = await sql<{ early: string; between: string }>(
      `WITH held AS (SELECT * FROM unnest($1::timestamptz[], $2::timestamptz[]) AS held (since, until)),
  settled AS MATERIALIZED (${all})
SELECT (SELECT count(*) FROM settled, held WHERE at BETWEEN since AND until) AS early,
  (SELECT count(*) FROM (SELECT since, lag(until) OVER (ORDER BY since) AS open FROM held) AS gap
    WHERE EXISTS (SELECT FROM settled WHERE at BETWEEN open AND since)) AS between`,
      [held.map(([from]) => from), held.map(([, until]) => until)],
    )
    assert.equal(held.length, ROUNDS.withRedis + ROUNDS.withoutRedis + 1)
    assert.equal(Number(spans?.early), 0, 'orders that were settled while their kind was held')
    assert.ok(
      Number(spans?.between) > held.length / 3,
      `it was tried in earnest: settled between ${spans?.between} of ${held.length} holds`,
    )
  })

  it('moves each deadline once, to the millisecond, although the process that releases is killed in mid-run', async function () {
    this.timeout(60_000)
    await sql(
      `INSERT INTO orders (status, "confirmDueAt", "createdAt", "updatedAt", total)
SELECT 4, date_trunc('milliseconds', now()) + n * interval '1 second' + interval '1 hour', now(), now(), n FROM generate_series(1, $1::int) AS n`,
      [MANY],
    )
    await sql('CREATE TABLE before AS SELECT id, "confirmDueAt" AS at FROM orders')
    await timers.hold('order_confirm', WHY)
    const moved = async () => (await sql<{ moved: number; state: string }>(`SELECT moved::int AS moved, state FROM ${HOLDS_TABLE}`))[0]
    const kills: number[] = []
    for (let n = 0; n < 2; n++) {
      const before = (await moved())?.moved ?? 0
      const program = await ChildProgram.start(RELEASE, { databaseUrl: postgres.url, schema: database.schema })
      await waitUntil(async () => ((await moved())?.moved ?? 0) > before, { every: 1 })
      await program.kill()
      kills.push((await moved())?.moved ?? 0)
    }
    await waitUntil(
      async () => (await sql(`SELECT 1 FROM pg_locks WHERE relation = '${HOLDS_TABLE}'::regclass AND mode = 'RowShareLock'`)).length === 0,
    )
    assert.ok((kills[0] as number) < MANY, `killed in mid-run: ${kills}`)
    await timers.release('order_confirm', { shift: true }).catch((error) => {
      if (error.code !== 'ERR_ORDER_TIMERS_NOT_HELD') throw error // the second had ended already
    })
    const [hold] = await sql<{ state: string; moved: string; length_ms: string }>(`SELECT state, moved, length_ms FROM ${HOLDS_TABLE}`)
    assert.deepEqual([hold?.state, Number(hold?.moved)], ['released', MANY])
    const off = await sql(`SELECT 1 FROM orders JOIN before USING (id) WHERE "confirmDueAt" <> at + $1 * interval '1 millisecond'`, [
      hold?.length_ms,
    ])
    assert.equal(off.length, 0)
  })
})
