// Three primaries of a cluster beside one Redis: what a scheduled timer costs Redis, in CPU and commands, how evenly the primaries share it, and how late
// orders are settled that come due 5 ms apart.
import { setTimeout as sleep } from 'node:timers/promises'
import { addOrders, DAY_MS } from '../orders.js'
import { type RedisCluster, startCluster } from '../redis-cluster.js'
import { redisUse } from '../redis-server.js'
import { settle } from '../settling.js'
import type { Site } from '../site.js'
import { OURS } from '../systems/index.js'
import { PATIENCE_MS, punctuality, SPACING_MS } from './lateness.js'
import type { Scenario } from './scenario.js'

const PRIMARIES: Record<string, number> = { 'one server': 0, 'three primaries': 3 }

/** Scheduled for tomorrow, one call each. */
const SCHEDULED = 20_000
/** Those before bring what is there once: connections, scripts, partitions. */
const FIRST = 200
/** Redis works on in the background after the last call. */
const AFTER_MS = 500

export const cluster: Scenario = {
  name: 'cluster',
  title: 'three primaries beside one Redis: orders due 5 ms apart, and what 20,000 scheduled timers cost Redis',
  systems: [OURS],
  n: 1_000,
  pendings: [100_000],
  rounds: 3,
  entries: (system, n, pending) => Object.keys(PRIMARIES).map((variant) => ({ system, variant, n, pending })),
  run: async (site, { n, pending, variant = '' }) => {
    const primaries = PRIMARIES[variant] ?? 0
    const shards = primaries > 0 ? await startCluster(primaries) : undefined
    site.cluster = shards
    try {
      const detail = await schedule(site, n + pending + 1, shards)
      return { ...punctuality(await settle(site, { system: OURS, n, pending, spacingMs: SPACING_MS, patienceMs: PATIENCE_MS })), detail }
    } finally {
      await shards?.stop()
    }
  },
}

async function schedule(site: Site, firstId: number, shards: RedisCluster | undefined): Promise<Record<string, number>> {
  const servers = shards?.nodes ?? [site.redis]
  const used = () => Promise.all(servers.map(({ client }) => redisUse(client)))
  await addOrders(site.database.sql, { firstId, count: SCHEDULED + FIRST, dueAt: null })
  const child = await site.hire()
  await child.ask('produce', { system: OURS, place: { ...site.place, variant: 'redis' } })
  await child.ask('schedule', { firstId: firstId + SCHEDULED, count: FIRST, delayMs: DAY_MS })
  const before = await used()
  await child.ask('schedule', { firstId, count: SCHEDULED, delayMs: DAY_MS })
  await sleep(AFTER_MS)
  const spent = (await used()).map(({ cpuMs, commands }, i) => ({
    cpuMs: cpuMs - (before[i]?.cpuMs ?? 0),
    commands: commands - (before[i]?.commands ?? 0),
  }))
  await child.ask('closeProducer')
  await child.end()
  const cpuMs = spent.reduce((sum, one) => sum + one.cpuMs, 0)
  const commands = spent.reduce((sum, one) => sum + one.commands, 0)
  return {
    cpuUsPerTimer: (1_000 * cpuMs) / SCHEDULED,
    commandsPerTimer: commands / SCHEDULED,
    cpuUsPerCommand: (1_000 * cpuMs) / commands,
    busiestPercent: (100 * Math.max(...spent.map((one) => one.cpuMs))) / cpuMs,
  }
}
