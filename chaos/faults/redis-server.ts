// Redis as a server: killed, emptied, without power, frozen, busy, read-only, out of memory, out of connections.

import { readdir, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { RedisServer } from '../../test/support/redis-server.js'
import type { World } from '../world.js'
import type { Faults, Scene } from './fault.js'
import { unanswered } from './fault.js'

const AOF_FOLDER = 'appendonlydir'

/** Where there is a replica, it would take over, or not, just as it happens: see failovers.ts. */
const ALONE = ['server'] as const
/** Nodes of a cluster go on to answer each other meanwhile. */
const NO_SENTINEL = ['server', 'cluster'] as const

export const REDIS_SERVER = {
  'redis-killed': {
    lasts: [500, 3000],
    redis: ALONE,
    async strike({ world, witness }) {
      const redis = theOne(world)
      witness.saw(await killed(redis))
      return () => redis.restart()
    },
  },
  /** As without persistence: it comes back with nothing. */
  'redis-emptied': {
    lasts: [300, 2000],
    redis: ALONE,
    async strike({ world, witness }) {
      const redis = theOne(world)
      witness.saw(await killed(redis))
      await rm(join(redis.directory, AOF_FOLDER), { recursive: true, force: true })
      return () => redis.restart()
    },
  },
  /** What was written last is lost: the last incremental file ends at any byte. */
  'redis-power-lost': {
    lasts: [300, 2000],
    redis: ALONE,
    async strike({ world, witness, random }) {
      const redis = theOne(world)
      await redis.kill()
      witness.saw(await cutLastFile(join(redis.directory, AOF_FOLDER), random.next()))
      return () => redis.restart()
    },
  },
  'redis-frozen': {
    lasts: [500, 3000],
    redis: ALONE,
    strike({ world, witness }) {
      const redis = theOne(world)
      redis.pause()
      const waiting = unanswered(world.links('redis'))
      return () => {
        witness.saw(waiting())
        redis.resume()
      }
    },
  },
  'redis-paused': {
    lasts: [500, 2000],
    redis: NO_SENTINEL,
    async strike({ world, witness, forMs }) {
      await world.onPrimaries((client) => client.client('PAUSE', forMs, 'ALL'))
      const waiting = unanswered(world.links('redis'))
      return () => witness.saw(waiting())
    },
  },
  /** A script of somebody else's that goes on and on: others are told BUSY. */
  'redis-busy': {
    lasts: [500, 1500],
    redis: NO_SENTINEL,
    async strike({ world, witness, forMs }) {
      const refused = await errorsSince(world, 'BUSY')
      const lua = `local function now() local time = redis.call('TIME'); return time[1] * 1000 + time[2] / 1000 end
local goal = now() + tonumber(ARGV[1]); while now() < goal do end`
      await world.onPrimaries((client) => client.config('SET', 'busy-reply-threshold', '100'))
      await world.withRedis((client) => client.eval(lua, 0, forMs))
      return async () => {
        await world.onPrimaries((client) => client.config('SET', 'busy-reply-threshold', '5000'))
        witness.saw(await refused())
      }
    },
  },
  'redis-read-only': {
    lasts: [500, 2000],
    redis: ALONE,
    async strike({ world, witness }) {
      const refused = await errorsSince(world, 'READONLY')
      await world.withRedis((client) => client.replicaof('127.0.0.1', 1))
      return async () => {
        await world.withRedis((client) => client.replicaof('NO', 'ONE'))
        witness.saw(await refused())
      }
    },
  },
  'redis-out-of-memory': {
    lasts: [500, 2000],
    async strike({ world, witness }) {
      const refused = await errorsSince(world, 'OOM')
      await world.onPrimaries((client) => client.config('SET', 'maxmemory', '1'))
      return async () => {
        await world.onPrimaries((client) => client.config('SET', 'maxmemory', '0'))
        witness.saw(await refused())
      }
    },
  },
  /** Every connection is closed, and the next ones are refused. */
  'redis-connections-used-up': {
    lasts: [500, 2000],
    redis: ALONE,
    async strike({ world, witness, forMs }) {
      const refused = await figureSince(world, 'stats', /^rejected_connections:(\d+)/m)
      // One client does it all: no other would be let in to end it.
      await world.withRedis(async (client) => {
        await client.config('SET', 'maxclients', '1')
        await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
        await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        await delay(forMs)
        await client.config('SET', 'maxclients', '10000')
      })
      witness.saw(await refused())
      return undefined
    },
  },
} satisfies Faults

function theOne({ redis }: World): RedisServer {
  return redis.servers[0] as RedisServer
}

async function killed(redis: RedisServer): Promise<boolean> {
  const { pid } = redis
  await redis.kill()
  return pid > 0 && !redis.running
}

/** Resolves to whether something was cut off. */
async function cutLastFile(folder: string, at: number): Promise<boolean> {
  const sequence = (name: string) => Number(/\.(\d+)\.incr\.aof$/.exec(name)?.[1] ?? -1)
  const last = (await readdir(folder)).sort((a, b) => sequence(a) - sequence(b)).at(-1)
  if (last === undefined || sequence(last) < 0) return false
  const { size } = await stat(join(folder, last))
  await truncate(join(folder, last), Math.floor(size * at))
  return size > 0
}

const errorsSince = (world: Scene['world'], code: string) =>
  figureSince(world, 'errorstats', new RegExp(`^errorstat_${code}:count=(\\d+)`, 'm'))

/** A figure of INFO now, of all servers together; the result tells by how much it has grown. A restart begins at 0. */
async function figureSince(world: Scene['world'], section: string, pattern: RegExp): Promise<() => Promise<number>> {
  const lookAt = (client: Redis) => client.info(section).then((text) => Number(pattern.exec(text)?.[1] ?? 0))
  const look = async () => (await world.onPrimaries(lookAt)).reduce((sum, one) => sum + one, 0)
  const before = await look()
  return async () => {
    const now = await look()
    return now >= before ? now - before : now
  }
}
