// Failovers: a primary of Redis killed, stopped until its replica has taken over, or replaced by command; slots of a cluster that move; and a standby
// of Postgres that takes over, or hangs.

import type { RedisServer } from '../../test/support/redis-server.js'
import type { Failovers } from '../servers/redis-site.js'
import { AT_ONCE, type Faults, type Scene } from './fault.js'

const REPLICATED = ['sentinel', 'cluster'] as const

/** What nodes and Sentinels need to agree; it may take longer. */
const TAKING_OVER = [3000, 5000] as const

export const FAILOVERS = {
  'primary-killed': {
    lasts: TAKING_OVER,
    redis: REPLICATED,
    strike: (scene) => failOver(scene, 'kill', 'revive'),
  },
  /** It wakes up when another one is the primary, and may take writes until it learns so. */
  'primary-stopped': {
    lasts: TAKING_OVER,
    redis: REPLICATED,
    strike: (scene) => failOver(scene, 'freeze', 'thaw'),
  },
  'failed-over-by-command': {
    lasts: TAKING_OVER,
    redis: REPLICATED,
    async strike(scene) {
      const { failovers, primary } = await chosen(scene)
      await failovers.byCommand(primary)
      scene.witness.saw(true)
      return undefined
    },
  },
  'slots-moved': {
    lasts: AT_ONCE,
    redis: ['cluster'],
    async strike({ world, witness, random }) {
      witness.saw((await world.redis.slots?.move(() => random.next())) ?? 0)
      return undefined
    },
  },
  'postgres-failed-over': {
    lasts: AT_ONCE,
    postgres: 'standby',
    async strike({ world, witness }) {
      const { port } = world.postgres
      await world.failPostgresOver()
      witness.saw(world.postgres.port !== port)
      return () => world.addPostgresStandby()
    },
  },
  /** Nothing is committed meanwhile. */
  'postgres-standby-frozen': {
    lasts: [500, 2000],
    postgres: 'standby',
    async strike({ world, witness }) {
      const standby = world.postgresStandby
      await standby?.pause()
      return async () => {
        const waiting = "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        witness.saw((await world.withPostgres((client) => client.query(waiting))).rowCount ?? 0)
        await standby?.resume()
      }
    },
  },
} satisfies Faults

async function failOver(scene: Scene, begin: 'kill' | 'freeze', end: 'revive' | 'thaw') {
  const { failovers, primary } = await chosen(scene)
  try {
    await failovers[begin](primary)
    scene.witness.saw(true)
  } catch (error) {
    await failovers[end](primary)
    throw error
  }
  return () => failovers[end](primary)
}

async function chosen({ world, random }: Scene): Promise<{ failovers: Failovers; primary: RedisServer }> {
  const { failovers } = world.redis
  const [primary] = random.shuffled((await failovers?.candidates()) ?? [])
  if (!failovers || !primary) throw new Error('no primary has a replica that follows')
  return { failovers, primary }
}
