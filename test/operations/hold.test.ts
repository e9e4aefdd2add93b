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
/** A hundred by default; `HOLD_ROUNDS=1000` tries it for longer. */
const ROUNDS = Number(process.env.HOLD_ROUNDS ?? 100)
const WITHOUT_REDIS = Math.round(ROUNDS * 0.12)
const WITH_REDIS = ROUNDS - WITHOUT_REDIS
const MANY = 3_000

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
    this.timeout(60_000 + ROUNDS * 1_800)
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
    for (let n = 0; n < WITH_REDIS; n++) await Promise.all([round(), delay(120)])
    await round(async () => {
      await workers.shift()?.kill()
      await startWorker('four')
      await delay(WATCHED_MS)
    })
    await redis.kill()
    for (let n = 0; n < WITHOUT_REDIS; n++) {
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
    assert.equal(held.length, ROUNDS + 1)
    assert.equal(Number(spans?.early), 0, 'orders that were settled while their kind was held')
    assert.ok(
      Number(spans?.between) > held.length / 3,
      `it was tried in earnest: settled between ${spans?.between} of ${held.length} holds`,
    )
  })

  describe('moves each deadline once, to the millisecond, although the process that releases is killed', function () {
    this.timeout(60_000)

    /** Where it is killed: what keeps it there, until when it is waited for, and what lets those go on who come after it. */
    const lockOrder = (id: number) => async () => {
      const locker = await database.connect()
      await locker.query(`BEGIN; SELECT 1 FROM orders WHERE id = ${id} FOR UPDATE`)
      return () => locker.query('COMMIT')
    }
    const stopHolds = (when: string) => async () => {
      const locker = await database.connect()
      await locker.query(`SELECT pg_advisory_lock(42);
CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$;
CREATE TRIGGER wait_here BEFORE UPDATE ON ${HOLDS_TABLE} FOR EACH ROW WHEN (${when}) EXECUTE FUNCTION wait_here()`)
      return () => locker.query('SELECT pg_advisory_unlock(42); DROP FUNCTION wait_here CASCADE')
    }
    const STEPS = {
      'before anything is moved': { stop: lockOrder(1), moved: (n: number) => n === 0 },
      'between two portions': { stop: lockOrder(MANY / 2), moved: (n: number) => n > 0 && n < MANY / 2 },
      'within a portion, whose orders are moved and whose place is not committed': {
        stop: stopHolds('NEW.moved > OLD.moved'),
        moved: (n: number) => n === 0,
      },
      'after the last portion, before the hold has ended': { stop: stopHolds("NEW.state = 'released'"), moved: (n: number) => n === MANY },
    }

    const GO_ON = {
      'another release': () => timers.release('order_confirm', { shift: true }),
      'a sweep': async () => {
        await startWorker('sweeping')
        await waitUntil(async () => (await sql(`SELECT 1 FROM ${HOLDS_TABLE} WHERE state <> 'released'`)).length === 0)
      },
    }

    const isWaiting = async () =>
      (await sql(`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)).length > 0

    for (const [step, { stop, moved }] of Object.entries(STEPS)) {
      it(`${step}; another release or a sweep goes on`, async () => {
        await sql(
          `INSERT INTO orders (status, "confirmDueAt", "createdAt", "updatedAt", total)
SELECT 4, date_trunc('milliseconds', now()) + n * interval '1 second' + interval '1 hour', now(), now(), n FROM generate_series(1, $1::int) AS n`,
          [MANY],
        )
        for (const [who, goOn] of Object.entries(GO_ON)) {
          await sql('DROP TABLE IF EXISTS before')
          await sql('CREATE TABLE before AS SELECT id, "confirmDueAt" AS at FROM orders')
          await timers.hold('order_confirm', WHY)
          const letGo = await stop()
          const program = await ChildProgram.start(RELEASE, { databaseUrl: postgres.url, schema: database.schema })
          const hold = async () => {
            const [found] = await sql<{ id: string; moved: number; state: string; length: number }>(
              `SELECT id, moved::int AS moved, state, length_ms::int AS length FROM ${HOLDS_TABLE} ORDER BY id DESC LIMIT 1`,
            )
            return found as NonNullable<typeof found>
          }
          await waitUntil(async () => (await hold()).state === 'releasing' && moved((await hold()).moved) && (await isWaiting()), {
            every: 1,
          })
          await program.kill()
          assert.equal((await hold()).state, 'releasing')
          assert.ok(moved((await hold()).moved), `${step}: ${(await hold()).moved} were moved`)
          await letGo()
          await goOn()
          const { state, moved: all, length } = await hold()
          assert.deepEqual([state, all], ['released', MANY], who)
          const off = await sql(
            `SELECT 1 FROM orders FULL JOIN before USING (id) WHERE "confirmDueAt" IS DISTINCT FROM at + $1 * interval '1 millisecond'`,
            [length],
          )
          assert.equal(off.length, 0, who)
        }
      })
    }
  })
})
