// What it costs to share a Redis with a shop whose keys expire by the million: Redis tells each expiry to every worker that listens, also those of another
// prefix. Orders come due 20 ms apart while the neighbour's keys expire, evenly over the same time, and Redis publishes an event for each. With Exg it
// also publishes each key that the neighbour sets.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { redisUse } from '../redis-server.js'
import { settle } from '../settling.js'
import { OURS } from '../systems/index.js'
import { PATIENCE_MS, punctuality } from './lateness.js'
import type { Scenario } from './scenario.js'

const SPACING_MS = 20
const EVENTS = 1_000_000
/** Set and expired in one step. */
const PORTION = 1_000

/** What Redis publishes; undefined: there is no neighbour. */
const VARIANTS: Record<string, string | undefined> = { alone: undefined, 'a neighbour': 'Ex', 'a neighbour, Exg': 'Exg' }

export const neighbour: Scenario = {
  name: 'neighbour',
  title: 'as lateness, 20 ms apart, while a million keys of another shop in the same Redis are set and expire',
  systems: [OURS],
  n: 1_000,
  pendings: [100_000],
  rounds: 3,
  entries: (system, n, pending) => Object.keys(VARIANTS).map((variant) => ({ system, variant, n, pending })),
  run: async (site, { n, pending, variant = '' }) => {
    const { client } = site.redis
    const events = VARIANTS[variant]
    if (events) await client.config('SET', 'notify-keyspace-events', events)
    let redisCpuMs = 0
    const meanwhile = async (dueAt: number) => {
      await sleep(dueAt - Date.now())
      const before = await redisUse(client)
      if (events) await expireMany(client, dueAt, n * SPACING_MS)
      await sleep(dueAt + n * SPACING_MS - Date.now())
      redisCpuMs = (await redisUse(client)).cpuMs - before.cpuMs
    }
    const outcome = await settle(site, { system: OURS, n, pending, spacingMs: SPACING_MS, patienceMs: PATIENCE_MS, meanwhile })
    return { ...punctuality(outcome), detail: { workerCpuMs: outcome.workerCpuMs, redisCpuMs } }
  },
}

/** Evenly over the time: each portion is set to expire at once, and touched in the next step. @throws if they took longer */
async function expireMany(redis: Redis, startAt: number, durationMs: number): Promise<void> {
  const steps = EVENTS / PORTION
  let keys: string[] = []
  for (let step = 0; step <= steps; step += 1) {
    const pipeline = redis.pipeline()
    if (keys.length > 0) pipeline.exists(keys)
    keys = step === steps ? [] : Array.from({ length: PORTION }, (_, i) => `neighbour:order_confirm:${step * PORTION + i}`)
    for (const key of keys) pipeline.set(key, '1', 'PX', 1)
    await pipeline.exec()
    await sleep(startAt + (durationMs * (step + 1)) / (steps + 1) - Date.now())
  }
}
