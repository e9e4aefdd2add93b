// How each kind of fault is brought about, and how it ends. A fault returns what ends it.

import { setTimeout as delay } from 'node:timers/promises'
import type { FaultKind, PlannedFault } from './plan.js'
import { Random } from './random.js'
import { PREFIX, type World } from './world.js'

type End = () => unknown
type Fault = (world: World, planned: PlannedFault) => Promise<End | undefined>

const HOUR_MS = 3_600_000

export const FAULTS: Record<FaultKind, Fault> = {
  'redis-killed': async ({ redis }) => {
    await redis.kill()
    return () => redis.restart()
  },
  'redis-frozen': async ({ redis }) => {
    redis.pause()
    return () => redis.resume()
  },
  'redis-paused': async (world, { forMs }) => {
    await world.withRedis((client) => client.client('PAUSE', forMs, 'ALL'))
    return undefined
  },
  'redis-silent': async ({ proxies }, { seed }) => {
    const silent = seed % 2 === 0 ? [proxies.workerRedis] : [proxies.workerRedis, proxies.shopRedis]
    for (const proxy of silent) proxy.silence()
    return () => {
      for (const proxy of silent) proxy.pass()
    }
  },
  'redis-flapping': async ({ proxies }, { forMs }) => {
    const resets = Math.floor(forMs / 300)
    for (let reset = 0; reset < resets; reset += 1) {
      proxies.workerRedis.reset()
      proxies.shopRedis.reset()
      await delay(300)
    }
    return undefined
  },
  'redis-replies-dropped': async ({ proxies }) => {
    proxies.workerRedis.dropReply('evalsha', 20)
    return () => proxies.workerRedis.pass()
  },
  'redis-read-only': async (world) => {
    await world.withRedis((client) => client.replicaof('127.0.0.1', 1))
    return () => world.withRedis((client) => client.replicaof('NO', 'ONE'))
  },
  'redis-out-of-memory': async (world) => {
    await world.withRedis((client) => client.config('SET', 'maxmemory', '1'))
    return () => world.withRedis((client) => client.config('SET', 'maxmemory', '0'))
  },
  'redis-flushed': async (world) => {
    await world.withRedis((client) => client.flushall())
    return undefined
  },
  'redis-keys-removed': async (world, { seed }) => {
    const random = new Random(seed)
    await world.withRedis(async (client) => {
      const keys = (await client.keys(`${PREFIX}*`)).filter(() => random.chance(0.5))
      if (keys.length > 0) await client.unlink(...keys)
    })
    return undefined
  },
  'redis-connections-killed': async (world) => {
    await world.withRedis((client) => client.call('CLIENT', 'KILL', 'TYPE', 'pubsub'))
    await world.withRedis((client) => client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'))
    return undefined
  },
  'events-off': async (world) => {
    await world.withRedis((client) => client.config('SET', 'notify-keyspace-events', ''))
    return () => world.withRedis((client) => client.config('SET', 'notify-keyspace-events', 'Ex'))
  },
  'events-forged': async (world, { seed }) => {
    const random = new Random(seed)
    const ids = await someOrders(world, 300)
    await world.withRedis(async (client) => {
      const pipeline = client.pipeline()
      for (const id of ids) {
        const key = `${PREFIX}${random.chance(0.5) ? 'order_confirm' : 'order_pay'}:${id}`
        if (random.chance(0.3)) pipeline.publish('__keyevent@0__:expired', key)
        else if (random.chance(0.4)) pipeline.set(key, '1', 'PX', random.between(1, 300))
        else if (random.chance(0.5)) pipeline.set(key, '1')
        else pipeline.del(key)
      }
      await pipeline.exec()
    })
    return undefined
  },
  'external-flood': async (world, { forMs, seed }) => {
    const random = new Random(seed)
    const end = performance.now() + forMs
    const malformed = ['', 'abc', '1:2', '1;DROP TABLE orders--', '99999999999999999999', ' 2 ', '-1', '1\r\n[ERROR] forged']
    while (performance.now() < end) {
      await world.withRedis(async (client) => {
        const pipeline = client.pipeline()
        for (let n = 0; n < 500; n += 1) pipeline.set(`session:${random.between(0, 1e9)}`, 'x', 'PX', random.between(1, 1000))
        for (const text of malformed) pipeline.set(`${PREFIX}order_confirm:${text}`, '1', 'PX', random.between(1, 200))
        await pipeline.exec()
      })
      await delay(100)
    }
    return undefined
  },
  'postgres-crashed': async ({ postgres }) => {
    await postgres.crash()
    return () => postgres.restart()
  },
  'postgres-frozen': async ({ postgres }) => {
    await postgres.pause()
    return () => postgres.resume()
  },
  'postgres-silent': async ({ proxies }) => {
    proxies.workerPostgres.silence()
    return () => proxies.workerPostgres.pass()
  },
  'postgres-commits-unanswered': async ({ proxies }) => {
    proxies.workerPostgres.dropReply('COMMIT', 10)
    return () => proxies.workerPostgres.pass()
  },
  'postgres-connections-killed': async (world) => {
    await world.withPostgres((client) =>
      client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'worker%'"),
    )
    return undefined
  },
  'rows-locked': async (world, { forMs }) => {
    await world.withPostgres(async (client) => {
      await client.query('BEGIN')
      await client.query(
        `SELECT FROM orders WHERE "confirmDueAt" > now() AND status = 4 ORDER BY "confirmDueAt" LIMIT 50 FOR UPDATE SKIP LOCKED`,
      )
      await delay(forMs)
      await client.query('ROLLBACK')
    })
    return undefined
  },
  'worker-killed': async (world, { worker }) => {
    await world.takeWorker(worker)?.kill()
    return () => world.startWorker(worker)
  },
  'worker-frozen': async ({ workers }, { worker }) => {
    const frozen = workers[worker]
    frozen?.pause()
    return () => frozen?.resume()
  },
  'worker-replaced': async (world, { worker }) => {
    const old = world.takeWorker(worker)
    world.startWorker(worker)
    const end = await old?.stop(30_000).catch(async (error: unknown) => {
      await old.kill()
      return String(error)
    })
    if (end !== 0) world.broken.push(`worker ${worker + 1} was told to stop and ended with ${end}`)
    return undefined
  },
  'worker-clock-shifted': async ({ workers }, { worker, seed }) => {
    workers[worker]?.send({ clock: new Random(seed).between(-HOUR_MS, HOUR_MS) })
    return () => workers[worker]?.send({ clock: 0 })
  },
}

async function someOrders(world: World, count: number): Promise<number[]> {
  const sql = 'SELECT id FROM orders WHERE status IN (1, 4) ORDER BY random() LIMIT $1'
  const { rows } = await world.withPostgres((client) => client.query<{ id: number }>(sql, [count]))
  return rows.map(({ id }) => id)
}
