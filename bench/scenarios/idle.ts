// What waiting costs: CPU of the worker and of its server over 20 s with timers pending that are a day away. The CPU of an
// idle Redis in the same 20 s is taken off, and Postgres's is told apart.
import { setTimeout as sleep } from 'node:timers/promises'
import { addOrders, DAY_MS, settleDown } from '../orders.js'
import { redisUse, startRedis } from '../redis-server.js'
import { OURS, type SystemName } from '../systems/index.js'
import { PEERS, type Scenario } from './scenario.js'

const WINDOW_MS = 20_000
/** A worker's start is not idle, nor is what V8 clears away some ten seconds after it. */
const START_MS = 20_000

export const idle: Scenario = {
  name: 'idle',
  title: 'CPU of worker and Redis over 20 s with timers pending, above an idle Redis',
  systems: [OURS, ...PEERS, 'setex-listener'],
  n: 0,
  pendings: [1_000_000],
  rounds: 1,
  entries: (system, _n, pending) => [{ system, n: 0, pending }],
  run: async (site, entry) => {
    const system = entry.system as SystemName
    const { sql } = site.database
    const [producer, worker, idleRedis] = await Promise.all([site.hire(), site.hire(), startRedis()])
    try {
      await addOrders(sql, { firstId: 1, count: entry.pending, dueAt: Date.now() + DAY_MS })
      await producer.ask('produce', { system, place: site.place })
      await producer.ask('load', { firstId: 1, count: entry.pending, dueAt: Date.now() + DAY_MS, spacingMs: 0 })
      await producer.ask('closeProducer')
      await producer.end()
      await settleDown(sql)
      await worker.ask('work', { system, order: { ...site.place, dueAt: Date.now() + DAY_MS, n: 0 } })
      await sleep(START_MS)
      const used = async () => ({
        at: performance.now(),
        worker: await worker.ask('cpuMs'),
        redis: (await redisUse(site.redis.client)).cpuMs,
        idleRedis: (await redisUse(idleRedis.client)).cpuMs,
        postgres: site.postgres.cpuMs() ?? 0,
      })
      const before = await used()
      await sleep(WINDOW_MS)
      const after = await used()
      const percent = (name: 'worker' | 'redis' | 'idleRedis' | 'postgres') => (100 * (after[name] - before[name])) / (after.at - before.at)
      await worker.ask('closeWorker')
      return {
        cpuPercent: percent('worker') + percent('redis') - percent('idleRedis'),
        detail: {
          workerCpuPercent: percent('worker'),
          redisCpuPercent: percent('redis'),
          idleRedisCpuPercent: percent('idleRedis'),
          postgresCpuPercent: percent('postgres'),
        },
      }
    } finally {
      await idleRedis.stop()
    }
  },
}
