// Incidents, staged one by one on real servers: what `order-timers status` and the log say of each within ten seconds, and that it says nothing that
// is untrue. Four are staged at once, since each is nearly nothing but waiting.

import assert from 'node:assert/strict'
import express from 'express'
import { status } from '../../lib/admin/status.js'
import { startExpiryWorker, transition } from '../../lib/index.js'
import { Lines } from '../support/lines.js'
import { PostgresServer } from '../support/postgres-server.js'
import { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'
import { startWorkerProcess } from '../support/worker-process.js'
import { confirming, type Stage, type StageOptions, stage } from './staged.js'

/** How many are staged at the same time. */
const AT_ONCE = 4

const DAY_MS = 86_400_000
const OFTEN = '*/2 * * * * *'
const OVERDUE = ['! OVERDUE', '✘ OVERDUE']

async function on(options: StageOptions, story: (stage: Stage) => Promise<void>): Promise<void> {
  const staged = await stage(options)
  try {
    await story(staged)
  } finally {
    await staged.close()
  }
}

async function onRedis(
  args: string[],
  story: (stage: Stage, server: RedisServer) => Promise<void>,
  options: StageOptions = {},
): Promise<void> {
  const server = await RedisServer.start(args)
  await on({ ...options, redis: server }, (staged) => story(staged, server)).finally(() => server.stop())
}

const throwing = { run: () => Promise.reject(new Error('no stock')) }

/** A worker that is a process of its own, and a web process that has been there for longer than its quiet start. */
const workerGoes = (signal: 'SIGKILL' | 'SIGSTOP') => () =>
  on({}, async ({ shop, calm, says }) => {
    const web = new Lines()
    const mounted = makeTimers(confirming()(shop.database.connectSequelize()), {
      redis: shop.redis.url,
      prefix: shop.redis.prefix,
      logger: web,
    })
    express().use(mounted)
    const mountedAt = performance.now()
    const worker = await startWorkerProcess({
      ...{ databaseUrl: shop.database.url, schema: shop.database.schema, redisUrl: shop.redis.url, prefix: shop.redis.prefix },
      ...{ rules: new URL('./incident-rules.ts', import.meta.url).href, name: 'incident', fallback: OFTEN },
    })
    await waitUntil(() => performance.now() - mountedAt > 40_000, { within: 60_000, every: 500 })
    await calm()
    const begun = performance.now()
    if (signal === 'SIGKILL') await worker.kill()
    else worker.pause()
    await says('✘ NO_WORKER', /^\S+:\d+ last beat \d+ s ago, and nothing is settled$/)
    await waitUntil(() => web.all.some(({ fields }) => fields.code === 'NO_WORKER'), { within: 10_000 })
    assert.ok(performance.now() - begun < 20_000)
    if (signal === 'SIGSTOP') {
      worker.resume()
      await calm()
      await worker.kill()
    }
    await mounted.close()
  })

const INCIDENTS: Record<string, () => Promise<void>> = {
  'the worker is killed': workerGoes('SIGKILL'),
  'the worker is stopped': workerGoes('SIGSTOP'),

  'the web process uses another db of Redis': () =>
    onRedis([], async ({ shop }, server) => {
      await shop.worker({ fallback: OFTEN })
      const elsewhere = makeTimers(confirming()(shop.database.connectSequelize()), { redis: `${server.url}/1`, prefix: shop.redis.prefix })
      express().use(elsewhere)
      await waitUntil(async () => (await shop.database.client.query('SELECT 1 FROM order_timers_processes')).rowCount === 1)
      const { troubles } = await waitUntil(async () => {
        const found = await status(runtimeOf(elsewhere))
        return found.troubles.some(({ code }) => code === 'OTHER_REDIS') ? found : undefined
      })
      assert.match(
        troubles.find(({ code }) => code === 'OTHER_REDIS')?.message ?? '',
        /uses Redis at \S+ db 1, and the worker \S+ another one, at \S+ db 0/,
      )
      await elsewhere.close()
    }),

  'Redis is full': () =>
    onRedis([], async ({ shop, calm, says, logged }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      await shop.redis.client.config('SET', 'maxmemory', '1')
      await shop.timers.schedule('order_confirm', await shop.order({ status: 4 }), { after: '1h' })
      await says('! REDIS_REFUSES', /^Redis takes no timers \(OOM .*raise "maxmemory", or remove what fills it\)/)
      await logged('REDIS_REFUSES')
      await shop.redis.client.config('SET', 'maxmemory', '0')
      await calm()
    }),

  'Redis is down': () =>
    onRedis([], async ({ shop, calm, says, logged }, server) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      await server.kill()
      await says('✘ REDIS_UNAVAILABLE', /^Redis at 127\.0\.0\.1:\d+ db 0 does not answer/)
      await logged('REDIS_UNAVAILABLE')
      await server.restart()
      await calm()
    }),

  'Redis is flushed': () =>
    onRedis([], async ({ shop, calm, logged, web }) => {
      await shop.worker({ fallback: OFTEN })
      const order = await shop.order({ status: 4 })
      await web.schedule('order_confirm', order, { after: '1m' })
      await calm()
      await shop.redis.client.flushall()
      await logged('REDIS_LOST_DATA')
      await calm()
    }),

  'Postgres is down': async () => {
    const server = await PostgresServer.start()
    await on({ databaseUrl: server.url }, async ({ shop, calm, says, logged }) => {
      const worker = await shop.worker({ fallback: OFTEN })
      await calm()
      await server.crash()
      await says('✘ POSTGRES_UNAVAILABLE', /^Postgres does not answer .*check that it runs and can be reached/, ['✘ SWEEP_FAILED'])
      await logged('SWEEP_FAILED')
      await server.restart()
      await calm()
      await worker.stop()
    }).finally(() => server.stop())
  },

  'a row is locked': () =>
    on({}, async ({ shop, due, calm, says }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      const session = await shop.database.connect()
      const id = await due(-2_000)
      await session.query('BEGIN')
      await session.query('UPDATE orders SET total = total WHERE id = $1', [id])
      const { troubles } = await says(
        '! ROW_LOCKED',
        new RegExp(`^order_confirm: order ${id} is due and locked: by pid \\d+, .*\\(UPDATE orders\\)$`),
      )
      assert.match(troubles[0]?.remedy ?? '', /SELECT pg_terminate_backend\(\d+\)/)
      await session.query('ROLLBACK')
      await calm()
    }),

  'the table is locked': () =>
    on({}, async ({ shop, due, calm, says }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      await due(60_000)
      const session = await shop.database.connect()
      await session.query('BEGIN')
      await session.query('LOCK TABLE orders')
      await says(
        '✘ TABLE_LOCKED',
        /^order_confirm: its whole table is locked, and nothing of it is settled: by pid \d+, .*LOCK TABLE orders/,
        [...['! NOT_LOOKED_AT', '✘ SWEEP_FAILED', '! POSTGRES_UNAVAILABLE', '✘ POSTGRES_UNAVAILABLE']],
      )
      await session.query('ROLLBACK')
      await calm()
    }),

  "the sweep's lock is held": () =>
    on({}, async ({ shop, calm, says, due }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      const session = await shop.database.connect()
      const name = `express-order-timers:sweep:${shop.redis.prefix}order_confirm:"orders"`
      await session.query('BEGIN')
      await session.query('SELECT pg_advisory_xact_lock(hashtextextended(concat($1::text, current_schema()), 0))', [name])
      await due(60_000)
      await says('✘ SWEEP_BLOCKED', /^order_confirm: another session holds the sweep's lock, .*pid \d+/, [
        '! SWEEP_LATE',
        '✘ SWEEP_LATE',
        ...OVERDUE,
      ])
      await session.query('ROLLBACK')
      await calm()
    }),

  'the rule throws': () =>
    on({ more: throwing }, async ({ shop, due, says, logged }) => {
      await shop.worker({ fallback: OFTEN })
      const id = await due(1_000)
      await says(
        '! RULE_FAILED',
        new RegExp(`^order_confirm: the rule fails and is tried again, on order ${id} \\d+ times so far: no stock$`),
        OVERDUE,
      )
      await logged('RULE_FAILED')
    }),

  'orders are dead letters': () =>
    on({ more: { ...throwing, attempts: 1 } }, async ({ shop, due, says, logged }) => {
      await shop.worker({ fallback: OFTEN })
      await due(1_000)
      await says('! DEAD_LETTERS', /^order_confirm: the rule failed on 1 order for the last time/, OVERDUE)
      await logged('DEAD_LETTER')
    }),

  'the brake stops a rule': () =>
    on({ more: { brake: { max: 1, per: '1h' } } }, async ({ shop, due, says, logged }) => {
      for (const _ of [1, 2, 3]) await due(1_000)
      await shop.worker({ fallback: OFTEN })
      await says('✘ BRAKED', /^order_confirm: stopped by its brake since /)
      await logged('BRAKED')
    }),

  'orders are stale': () =>
    on({}, async ({ shop, due, says, logged }) => {
      await due(8 * DAY_MS)
      await shop.worker({ fallback: OFTEN })
      await says('! STALE', /^order_confirm: 1 order is overdue by more than "staleAfter", and held back$/)
      await logged('STALE')
    }),

  'a column is missing': () =>
    on({}, async ({ shop, calm, says, logged }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      await shop.database.client.query('ALTER TABLE orders DROP COLUMN "confirmDueAt" CASCADE')
      await says('✘ INVALID_MODEL', /^order_confirm: .*has no column "confirmDueAt"; add it with ALTER TABLE/, [
        '✘ SWEEP_LATE',
        '! SWEEP_LATE',
      ])
      await logged('INVALID_MODEL')
    }),

  'the rules of two workers differ': () =>
    on({}, async ({ shop, calm, says }) => {
      await shop.worker({ fallback: OFTEN })
      await calm()
      const { Order } = shop.database.connectSequelize()
      const rules = { order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '48h' }) }
      const other = makeTimers(rules, { redis: shop.redis.url, prefix: shop.redis.prefix })
      const second = startExpiryWorker(other, { fallback: OFTEN })
      await second.ready
      await says('! RULES_DIFFER', /^order_confirm: the workers .* have different values for this rule/)
      await second.stop()
      await other.close()
    }),
}

/** A part of a name, to stage such incidents alone. */
const wanted = Object.keys(INCIDENTS).filter((name) => name.includes(process.env.INCIDENT ?? ''))

describe('an incident', function () {
  this.timeout(240_000)

  it('is told by status and the log within ten seconds, with its cause, and nothing else is', async () => {
    const told: Record<string, string> = {}
    const waiting = [...wanted]
    const lane = async () => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift())
        await INCIDENTS[name]?.().catch((error: Error) => {
          told[name as string] = error.message
        })
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
    assert.deepEqual(told, {})
  })
})
