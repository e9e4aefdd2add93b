// Incidents, staged on real servers: what `order-timers status`, `/ready`, the metrics and the log say of each within ten seconds, that they say
// nothing that is untrue, and what Prometheus would alert to. Several are staged at once, since each is nearly nothing but waiting.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { startExpiryWorker, transition } from '../../lib/index.js'
import { UNVERIFIED_TABLE } from '../../lib/rows/unverified.js'
import { PostgresServer } from '../support/postgres-server.js'
import { RedisServer } from '../support/redis-server.js'
import { makeTimers, openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'
import { startWorkerProcess } from '../support/worker-process.js'
import { ALERTS, assertAlerts } from './alerting.js'
import { confirming, type Stage, type StageOptions, scraped, stage } from './staged.js'

/** How many are staged at the same time. */
const AT_ONCE = 5

/** Thousands of events for a worker in this very process would make the others late. */
const ALONE = 'another service sets and loses thousands of keys'

const DAY_MS = 86_400_000
const OFTEN = '*/2 * * * * *'
const KIND = 'order_confirm'
const OVERDUE = ['! OVERDUE', '✘ OVERDUE']
const LATE_SWEEP = ['! SWEEP_LATE', '✘ SWEEP_LATE']
const LATE = { statusMay: LATE_SWEEP, readyMay: ['sweep degraded', 'sweep failing'] }

/** As the metrics have a fault. */
const fault = (code: string, kind = '') => `fault{code="${code}",kind="${kind}"}`

async function on(options: StageOptions, story: (stage: Stage) => Promise<void>): Promise<void> {
  const staged = await stage(options)
  try {
    await story(staged)
  } finally {
    await staged.close()
  }
}

/** On a Redis of its own. */
async function onRedis(options: StageOptions, story: (stage: Stage, server: RedisServer) => Promise<void>): Promise<void> {
  const server = await RedisServer.start()
  await on({ ...options, redis: server }, (staged) => story(staged, server)).finally(() => server.stop())
}

const throwing = { run: () => Promise.reject(new Error('no stock')) }

/** Does this again and again, some times a second, while the story goes on. */
async function meanwhile(act: () => Promise<unknown>, story: () => Promise<unknown>): Promise<void> {
  const ending = new AbortController()
  const acting = (async () => {
    for (; !ending.signal.aborted; await delay(150)) await act()
  })()
  await story().finally(() => {
    ending.abort()
    return acting
  })
}

/** A fault that both see, only after it has lasted for a minute: a deployment has such moments. */
const lasting = (code: string, { web, shop }: Stage) =>
  waitUntil(() => [web, shop.timers].every((timers) => timers.health().faults.some((one) => one.code === code)), {
    within: 150_000,
    every: 500,
    what: `the fault ${code}`,
  })

/** A worker that is a process of its own, and a web process that has been there for longer than its quiet start. */
const workerGoes =
  (signal: 'SIGKILL' | 'SIGSTOP') =>
  (name: string): Promise<void> =>
    on({ name }, async ({ shop, calm, tells, due, webLog }) => {
      const startedAt = performance.now()
      const worker = await startWorkerProcess(
        {
          ...{ databaseUrl: shop.database.url, schema: shop.database.schema, redisUrl: shop.redis.url, prefix: shop.redis.prefix },
          ...{ rules: new URL('./incident-rules.ts', import.meta.url).href, name: 'incident', fallback: OFTEN },
        },
        { readyWithin: 120_000 },
      )
      await waitUntil(() => performance.now() - startedAt > 40_000, { within: 60_000, every: 500 })
      await calm()
      if (signal === 'SIGKILL') await worker.kill()
      else worker.pause()
      await due(0)
      await tells({
        status: ['✘ NO_WORKER', /^\S+:\d+ last beat \d+ s ago, and nothing is settled$/],
        statusMay: [...LATE_SWEEP, ...OVERDUE],
        web: ['faults degraded NO_WORKER'],
        readyMay: [...LATE.readyMay, 'overdue degraded', 'overdue failing'],
        metrics: [fault('NO_WORKER'), `oldest_overdue_seconds{kind="${KIND}"}`],
        alerts: ['OrderTimersNoWorker', 'OrderTimersSweepLate', 'OrderTimersOverdue'],
      })
      assert.ok(webLog.all.some(({ fields }) => fields.code === 'NO_WORKER'))
      if (signal === 'SIGKILL') return
      worker.resume()
      await calm()
      await worker.kill()
    })

const INCIDENTS: Record<string, (name: string) => Promise<void>> = {
  'the worker is killed': workerGoes('SIGKILL'),
  'the worker is stopped': workerGoes('SIGSTOP'),

  'nothing is wrong': (name) =>
    on({ name }, async ({ shop, calm, tells }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      await shop.timers.schedule(KIND, await shop.order({ status: 4 }), { after: '1h' })
      await tells({ status: ['', /^/], web: [], worker: [], metrics: [`orders{kind="${KIND}",state="pending"}`], alerts: [] })
    }),

  'the web process uses another db of Redis': (name) =>
    onRedis({ name, webDb: 1 }, async (staged) => {
      const { shop, tells } = staged
      await shop.worker({ fallback: OFTEN })
      await lasting('OTHER_REDIS', staged)
      await tells({
        status: ['! OTHER_REDIS', /uses Redis at \S+ db 1, and the worker \S+ another one, at \S+ db 0/],
        web: ['faults degraded OTHER_REDIS'],
        worker: ['faults degraded OTHER_REDIS'],
        metrics: [fault('OTHER_REDIS')],
        alerts: ['OrderTimersFault'],
      })
    }),

  'the prefix is shared by another database': (name) =>
    on({ name }, async (staged) => {
      const { shop, calm, tells } = staged
      await shop.worker({ fallback: OFTEN })
      await calm()
      const other = await openShop(confirming(), { prefix: shop.redis.prefix })
      await other.worker({ fallback: OFTEN })
      await lasting('PREFIX_SHARED', staged)
      await tells({
        status: ['✘ PREFIX_SHARED', /^order_confirm: \S+ and \S+ use different databases under one prefix/],
        web: ['faults degraded PREFIX_SHARED'],
        worker: ['faults degraded PREFIX_SHARED'],
        metrics: [fault('PREFIX_SHARED', KIND)],
        alerts: ['OrderTimersFault'],
      })
      await other.close()
    }),

  'the rules of two workers differ': (name) =>
    on({ name }, async (staged) => {
      const { shop, calm, tells } = staged
      await shop.worker({ fallback: OFTEN })
      await calm()
      const { Order } = shop.database.connectSequelize()
      const rules = { order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '48h' }) }
      const other = makeTimers(rules, { redis: shop.redis.url, prefix: shop.redis.prefix })
      const second = startExpiryWorker(other, { fallback: OFTEN })
      await lasting('RULES_DIFFER', staged)
      await tells({
        status: ['! RULES_DIFFER', /^order_confirm: the workers .* have different values for this rule/],
        web: ['faults degraded RULES_DIFFER'],
        worker: ['faults degraded RULES_DIFFER'],
        metrics: [fault('RULES_DIFFER', KIND)],
        alerts: ['OrderTimersFault'],
      })
      await second.stop()
      await other.close()
    }),

  'no event arrives any more, since the user lost its channels': (name) =>
    onRedis({ name }, async ({ shop, calm, tells, logged }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      await shop.redis.client.call('ACL', 'SETUSER', 'default', 'resetchannels')
      await tells({
        status: ['! SUBSCRIBE_REFUSED', /subscribe/],
        worker: ['redis degraded SUBSCRIBE_REFUSED'],
        metrics: [fault('SUBSCRIBE_REFUSED')],
        alerts: ['OrderTimersFault'],
      })
      await logged('SUBSCRIBE_REFUSED')
      await shop.redis.client.call('ACL', 'SETUSER', 'default', 'allchannels')
      await calm()
    }),

  'Redis evicts': (name) =>
    onRedis({ name }, async ({ shop, calm, tells, logged }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      await shop.redis.client.config('SET', 'maxmemory-policy', 'allkeys-lru')
      await tells({
        status: ['! EVICTION', /may evict timers \(maxmemory-policy allkeys-lru\); set "maxmemory-policy noeviction"/],
        worker: ['redis degraded EVICTION'],
        metrics: [fault('EVICTION')],
        alerts: ['OrderTimersFault'],
      })
      await logged('EVICTION')
      await shop.redis.client.config('SET', 'maxmemory-policy', 'noeviction')
      await calm()
    }),

  'Redis is full': (name) =>
    onRedis({ name }, async ({ shop, web, calm, tells, logged }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      await shop.redis.client.config('SET', 'maxmemory', '1')
      await web.schedule(KIND, await shop.order({ status: 4 }), { after: '1h' })
      await tells({
        status: ['! REDIS_REFUSES', /^Redis takes no timers \(OOM .*raise "maxmemory", or remove what fills it\)/],
        web: ['redis degraded REDIS_REFUSES'],
        worker: ['redis degraded REDIS_REFUSES'],
        metrics: [fault('REDIS_REFUSES'), `armed_total{kind="${KIND}",result="kept"}`],
        alerts: ['OrderTimersFault'],
      })
      await logged('REDIS_REFUSES')
      await shop.redis.client.config('SET', 'maxmemory', '0')
      await calm()
    }),

  'Redis is down, and orders come due': (name) =>
    onRedis({ name }, async ({ shop, web, calm, look, tells, logged }, server) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      await server.kill()
      const order = async () => web.schedule(KIND, await shop.order({ status: 4 }), { after: '300ms' })
      await meanwhile(order, () =>
        tells({
          status: ['✘ REDIS_UNAVAILABLE', /^Redis at 127\.0\.0\.1:\d+ db 0 does not answer/],
          statusMay: ['! CATCHING_UP', '! LATE'],
          web: ['redis degraded REDIS_UNAVAILABLE'],
          worker: ['redis degraded REDIS_UNAVAILABLE'],
          readyMay: ['lateness degraded'],
          metrics: [fault('REDIS_UNAVAILABLE'), `settled_total{kind="${KIND}",path="sweep"}`],
          alerts: ['OrderTimersFault', 'OrderTimersLate'],
        }),
      )
      await logged('REDIS_UNAVAILABLE')
      await server.restart()
      await waitUntil(async () => (await look()).troubles.every(({ code }) => code === 'LATE'), { within: 60_000, every: 1_000 })
    }),

  'Redis is flushed': (name) =>
    onRedis({ name }, async ({ shop, calm, logged, web, tells }) => {
      await shop.worker({ fallback: OFTEN })
      const order = await shop.order({ status: 4 })
      await web.schedule(KIND, order, { after: '1m' })
      await calm()
      await shop.redis.client.flushall()
      await logged('REDIS_LOST_DATA')
      await calm()
      await tells({ status: ['', /^/], metrics: [`orders{kind="${KIND}",state="pending"}`], alerts: [] })
    }),

  'another service sets and loses thousands of keys': (name) =>
    onRedis({ name }, async ({ shop, calm, tells, due }) => {
      const worker = await shop.worker({ fallback: OFTEN })
      await calm()
      const flood = shop.redis.client.pipeline()
      for (let i = 0; i < 5_000; i += 1) flood.set(shop.key(`${KIND}:${1_000_000 + i}`), '1', 'PX', 500 + 2 * i)
      await flood.exec()
      await due(0)
      await tells({ status: ['', /^/], metrics: [], alerts: [] })
      await waitUntil(() => worker.settled.length === 1)
      assert.ok((worker.settled[0]?.latenessMs ?? 0) < 10_000, `${worker.settled[0]?.latenessMs} ms`)
      await calm()
    }),

  'Postgres is down': async (name) => {
    const server = await PostgresServer.start()
    await on({ name, databaseUrl: server.url }, async ({ shop, calm, tells, logged }) => {
      const worker = await shop.worker({ fallback: OFTEN })
      await calm()
      await server.crash()
      await tells({
        status: ['✘ POSTGRES_UNAVAILABLE', /^Postgres does not answer .*check that it runs and can be reached/],
        statusMay: ['✘ SWEEP_FAILED', ...LATE_SWEEP],
        web: ['postgres degraded POSTGRES_UNAVAILABLE'],
        worker: ['postgres degraded POSTGRES_UNAVAILABLE'],
        readyMay: ['faults degraded SWEEP_FAILED', ...LATE.readyMay],
        metrics: [fault('SWEEP_FAILED', KIND)],
        faultsMay: ['POSTGRES_UNAVAILABLE'],
        alerts: ['OrderTimersFault', 'OrderTimersNotCounted', 'OrderTimersSweepLate'],
      })
      await logged('SWEEP_FAILED')
      await server.restart()
      await calm()
      await worker.stop()
    }).finally(() => server.stop())
  },

  'Postgres is 30 s ahead': (name) =>
    on({ name, postgresAheadMs: 30_000 }, async ({ shop, tells }) => {
      await shop.worker({ fallback: OFTEN })
      await tells({
        status: ['! CLOCK_SKEW', /^Postgres's clock is (?:29|30)\.\d s ahead of Redis's/],
        web: ['clocks degraded CLOCK_SKEW'],
        worker: ['clocks degraded CLOCK_SKEW'],
        metrics: ['clock_skew_seconds{clock="postgres"}'],
        alerts: ['OrderTimersClockSkew'],
      })
    }),

  'a row is locked': (name) =>
    on({ name }, async ({ shop, due, calm, tells }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      const session = await shop.database.connect()
      const id = await due(-2_000)
      await session.query('BEGIN')
      await session.query('UPDATE orders SET total = total WHERE id = $1', [id])
      const { troubles } = await tells({
        status: ['! ROW_LOCKED', new RegExp(`^order_confirm: order ${id} is due and locked: by pid \\d+, .*\\(UPDATE orders\\)$`)],
        readyMay: ['faults degraded ROW_LOCKED'],
        metrics: [`orders{kind="${KIND}",state="locked"}`],
        faultsMay: ['ROW_LOCKED'],
        alerts: [],
        alertsMay: ['OrderTimersFault'],
      })
      assert.match(troubles[0]?.remedy ?? '', /SELECT pg_terminate_backend\(\d+\)/)
      await session.query('ROLLBACK')
      await calm()
    }),

  'the table is locked': (name) =>
    on({ name }, async ({ shop, due, calm, tells }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      const session = await shop.database.connect()
      await due(-3_000)
      await session.query('BEGIN')
      await session.query('LOCK TABLE orders')
      await tells({
        status: [
          '✘ TABLE_LOCKED',
          /^order_confirm: its whole table is locked, and nothing of it is settled: by pid \d+, .*LOCK TABLE orders/,
        ],
        statusMay: ['! NOT_LOOKED_AT', '✘ SWEEP_FAILED', '! POSTGRES_UNAVAILABLE', '✘ POSTGRES_UNAVAILABLE', ...LATE_SWEEP],
        web: ['overdue degraded UNREADABLE'],
        worker: ['overdue degraded UNREADABLE'],
        readyMay: ['faults degraded', 'postgres degraded', ...LATE.readyMay],
        metrics: [],
        faultsMay: ['NOT_LOOKED_AT', 'SWEEP_FAILED', 'POSTGRES_UNAVAILABLE'],
        alerts: ['OrderTimersFault', 'OrderTimersNotCounted', 'OrderTimersSweepLate'],
      })
      await session.query('ROLLBACK')
      await calm()
    }),

  "the sweep's lock is held": (name) =>
    on({ name }, async ({ shop, calm, tells, due }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      const session = await shop.database.connect()
      const lock = `express-order-timers:sweep:${shop.redis.prefix}order_confirm:"orders"`
      await session.query('BEGIN')
      await session.query('SELECT pg_advisory_xact_lock(hashtextextended(concat($1::text, current_schema()), 0))', [lock])
      await due(60_000)
      await tells({
        status: ['✘ SWEEP_BLOCKED', /^order_confirm: another session holds the sweep's lock, .*pid \d+/],
        statusMay: [...LATE_SWEEP, ...OVERDUE],
        web: ['overdue failing OVERDUE'],
        worker: ['overdue failing OVERDUE'],
        readyMay: ['faults degraded SWEEP_BLOCKED', ...LATE.readyMay],
        metrics: [`oldest_overdue_seconds{kind="${KIND}"}`],
        faultsMay: ['SWEEP_BLOCKED'],
        alerts: ['OrderTimersOverdue', 'OrderTimersSweepLate'],
        alertsMay: ['OrderTimersFault'],
      })
      await session.query('ROLLBACK')
      await calm()
    }),

  'the rule throws': (name) =>
    on({ name, more: throwing }, async ({ shop, due, tells, logged }) => {
      await shop.worker({ fallback: OFTEN })
      const id = await due(1_000)
      await tells({
        status: [
          '! RULE_FAILED',
          new RegExp(`^order_confirm: the rule fails and is tried again, on order ${id} \\d+ times so far: no stock$`),
        ],
        statusMay: OVERDUE,
        readyMay: ['overdue degraded'],
        metrics: [`failed_total{kind="${KIND}"}`, `orders{kind="${KIND}",state="retrying"}`],
        alerts: [],
        alertsMay: ['OrderTimersFailing'],
      })
      await logged('RULE_FAILED')
    }),

  'the rule keeps throwing': (name) =>
    on({ name, more: throwing }, async ({ shop, due, tells, logged }) => {
      await shop.worker({ fallback: OFTEN })
      await meanwhile(
        () => due(0),
        () =>
          tells({
            status: ['! RULE_FAILED', /no stock$/],
            statusMay: OVERDUE,
            readyMay: ['overdue degraded'],
            metrics: [`failed_total{kind="${KIND}"}`],
            alerts: ['OrderTimersFailing'],
            alertsMay: ['OrderTimersOverdue', 'OrderTimersSweepLate'], // four seconds of a busy machine are no measure
          }),
      )
      await logged('RULE_FAILED')
    }),

  'orders are dead letters': (name) =>
    on({ name, more: { ...throwing, attempts: 1 } }, async ({ shop, due, tells, logged }) => {
      await shop.worker({ fallback: OFTEN })
      await due(1_000)
      await tells({
        status: ['! DEAD_LETTERS', /^order_confirm: the rule has used all its attempts on 1 order/],
        web: ['dead degraded DEAD_LETTERS'],
        worker: ['dead degraded DEAD_LETTERS'],
        metrics: [`dead_total{kind="${KIND}"}`, `orders{kind="${KIND}",state="dead"}`],
        alerts: ['OrderTimersDead'],
      })
      await logged('DEAD_LETTER')
    }),

  'the brake stops a rule': (name) =>
    on({ name, more: { brake: { max: 1, per: '1h' } } }, async ({ shop, due, tells, logged }) => {
      for (const _ of [1, 2, 3]) await due(1_000)
      await shop.worker({ fallback: OFTEN })
      await tells({
        status: ['✘ BRAKED', /^order_confirm: stopped by its brake since /],
        worker: ['faults degraded BRAKED'],
        metrics: [fault('BRAKED', KIND), `orders{kind="${KIND}",state="held"}`],
        alerts: ['OrderTimersFault'],
      })
      await logged('BRAKED')
    }),

  'orders are stale': (name) =>
    on({ name }, async ({ shop, due, tells, logged }) => {
      await due(8 * DAY_MS)
      await shop.worker({ fallback: OFTEN })
      await tells({
        status: ['! STALE', /^order_confirm: 1 order is overdue by more than "staleAfter", and held back$/],
        metrics: [`orders{kind="${KIND}",state="stale"}`],
        alerts: ['OrderTimersStale'],
      })
      await logged('STALE')
    }),

  'orders wait for verify': (name) =>
    on({ name, more: { history: true, verify: { ask: async (orders) => orders.map(() => '30m' as const) } } }, async (staged) => {
      const { shop, due, tells } = staged
      await shop.worker({ fallback: OFTEN })
      const id = await due(1_000)
      const asked = `UPDATE ${UNVERIFIED_TABLE} SET since = now() - interval '2 hours' WHERE order_id = '${id}'`
      await waitUntil(async () => (await shop.database.client.query(asked)).rowCount, { within: 30_000, every: 100 })
      await tells({
        status: ['! VERIFY_WAITING', /^order_confirm: 1 order waits for an answer of "verify", the first for 2 h/],
        metrics: [`orders{kind="${KIND}",state="unverified"}`, `oldest_unverified_seconds{kind="${KIND}"}`],
        alerts: ['OrderTimersUnverified'],
      })
    }),

  'Redis and Postgres are both silent': async (name) => {
    const postgres = await PostgresServer.start()
    await onRedis({ name, databaseUrl: postgres.url }, async ({ shop, calm, tells, logged }, redis) => {
      const worker = await shop.worker({ fallback: OFTEN })
      await calm()
      await postgres.pause()
      redis.pause()
      const answerAgain = async () => {
        redis.resume()
        await postgres.resume()
      }
      const { troubles } = await tells({
        status: ['✘ POSTGRES_UNAVAILABLE', /^Postgres does not answer \(nothing in 3\.5 s\); check that it runs/],
        statusMay: ['✘ REDIS_UNAVAILABLE'],
        web: ['redis degraded REDIS_UNAVAILABLE', 'postgres degraded POSTGRES_UNAVAILABLE'],
        worker: ['redis degraded REDIS_UNAVAILABLE', 'postgres degraded POSTGRES_UNAVAILABLE'],
        readyMay: ['overdue degraded', 'faults degraded SWEEP_FAILED', ...LATE.readyMay],
        metrics: [fault('REDIS_UNAVAILABLE')],
        faultsMay: ['SWEEP_FAILED', 'POSTGRES_UNAVAILABLE'],
        alerts: ['OrderTimersFault', 'OrderTimersNotCounted', 'OrderTimersSweepLate'],
      }).finally(answerAgain)
      assert.deepEqual(
        troubles.map(({ code }) => code),
        ['POSTGRES_UNAVAILABLE', 'REDIS_UNAVAILABLE'],
      )
      await logged('REDIS_UNAVAILABLE')
      await calm()
      await worker.stop()
    }).finally(() => postgres.stop())
  },

  'a column is missing': (name) =>
    on({ name }, async ({ shop, calm, tells, logged }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      await shop.database.client.query('ALTER TABLE orders DROP COLUMN "confirmDueAt" CASCADE')
      await tells({
        status: ['✘ INVALID_MODEL', /^order_confirm: .*has no column "confirmDueAt"; add it with ALTER TABLE/],
        statusMay: LATE_SWEEP,
        web: ['overdue degraded UNREADABLE'],
        worker: ['overdue degraded UNREADABLE', 'faults degraded INVALID_MODEL'],
        readyMay: LATE.readyMay,
        metrics: [fault('INVALID_MODEL', KIND)],
        alerts: ['OrderTimersFault', 'OrderTimersNotCounted', 'OrderTimersSweepLate'],
      })
      await logged('INVALID_MODEL')
    }),
}

/** Those whose faults must last for a minute before they are told begin first. */
const SLOW = ['the web process uses another db of Redis', 'the prefix is shared by another database', 'the rules of two workers differ']

/** A part of a name, to stage such incidents alone. */
const wanted = [...new Set([...SLOW, ...Object.keys(INCIDENTS)])].filter((name) => name.includes(process.env.INCIDENT ?? ''))

describe('an incident', function () {
  this.timeout(600_000)

  it('is reported by status, /ready, the metrics and the log within ten seconds, and nothing else is', async () => {
    const told: Record<string, string> = {}
    const stageOne = (name: string) =>
      INCIDENTS[name]?.(name).catch((error: Error) => {
        told[name] = error.message
      })
    const waiting = wanted.filter((name) => name !== ALONE)
    const lane = async () => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await stageOne(name)
    }
    if (wanted.includes(ALONE)) await stageOne(ALONE)
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
    assert.deepEqual(told, {})
  })

  it('exists for each alert of example/deploy/prometheus, and no alert is raised without one', async () => {
    const nobody = { name: 'no process reports', first: new Map(), second: new Map(), betweenS: 1, atS: 0, alertsMay: [], row: '' }
    const all = [...scraped, { ...nobody, alerts: ['OrderTimersAbsent'] }]
    const page = await readFile(new URL('../../docs/health.md', import.meta.url), 'utf8')
    for (const { row } of scraped) assert.ok(page.includes(`\n${row}\n`), `docs/health.md lacks the row: ${row}`)
    await assertAlerts(all)
    if (process.env.INCIDENT) return
    const names = [...(await readFile(ALERTS, 'utf8')).matchAll(/^ +- alert: (\w+)$/gm)].map(([, name]) => name as string)
    assert.deepEqual(new Set(all.flatMap(({ alerts }) => alerts)), new Set(names))
  })
})
