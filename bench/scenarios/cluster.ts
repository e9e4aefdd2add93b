// A cluster's primaries beside one Redis: what a scheduled timer costs Redis, in CPU, commands and memory, how evenly the primaries share it, and how late
// orders are settled that come due 5 ms apart. One primary is a cluster too: what more of them cost is told from what a cluster costs. Each primary has as many calls in flight as the one server.
import { setTimeout as sleep } from 'node:timers/promises'
import { addOrders, DAY_MS } from '../orders.js'
import { startCluster } from '../redis-cluster.js'
import { type RedisServer, redisUse } from '../redis-server.js'
import { settle } from '../settling.js'
import type { Site } from '../site.js'
import { OURS } from '../systems/index.js'
import { IN_FLIGHT } from '../systems/system.js'
import { PATIENCE_MS, punctuality, SPACING_MS } from './lateness.js'
import type { Scenario } from './scenario.js'

const PRIMARIES: Record<string, number> = { 'one server': 0, 'one primary': 1, 'three primaries': 3, 'six primaries': 6 }

/** Scheduled for tomorrow, one call each; so many for each primary. */
const SCHEDULED = 20_000
/** Those before bring what is there once: connections, scripts, partitions. */
const FIRST = 200
/** So often each primary gets as many calls at once as it has in flight otherwise. */
const PACE_MS = 25
/** Redis works on in the background after the last call. */
const AFTER_MS = 500

export const cluster: Scenario = {
  name: 'cluster',
  title: "a cluster's primaries beside one Redis: orders due 5 ms apart, and what 20,000 scheduled timers for each cost Redis",
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
      const servers = shards?.nodes ?? [site.redis]
      const detail = await schedule(site, n + pending + 1, servers)
      const before = await Promise.all(servers.map(memoryOf))
      const outcome = await settle(site, { system: OURS, n, pending, spacingMs: SPACING_MS, patienceMs: PATIENCE_MS })
      const grown = (await Promise.all(servers.map(memoryOf))).map((bytes, i) => bytes - (before[i] as number))
      return {
        ...punctuality(outcome),
        bytesPerTimer: sum(grown) / pending,
        detail: { ...detail, fullestPercent: percentOfLargest(grown) },
      }
    } finally {
      await shards?.stop()
    }
  },
}

/**
 * What scheduling costs: as fast as it goes, and then, for the same orders again, at a pace at which the processes do not compete for the machine's cores. Their
 * memory stays the same.
 */
async function schedule(site: Site, firstId: number, servers: readonly RedisServer[]): Promise<Record<string, number>> {
  const scheduled = SCHEDULED * servers.length
  const inFlight = IN_FLIGHT * servers.length
  await addOrders(site.database.sql, { firstId, count: scheduled + FIRST, dueAt: null })
  const child = await site.hire()
  await child.ask('produce', { system: OURS, place: { ...site.place, variant: 'redis' } })
  await child.ask('schedule', { firstId: firstId + scheduled, count: FIRST, delayMs: DAY_MS })
  const cost = (pace: { everyMs?: number }) =>
    spentOn(servers, () => child.ask('schedule', { firstId, count: scheduled, delayMs: DAY_MS, inFlight, ...pace }))
  const saturated = await cost({})
  const paced = await cost({ everyMs: PACE_MS })
  await child.ask('closeProducer')
  await child.end()
  return {
    cpuUsPerTimer: (1_000 * sum(saturated.cpuMs)) / scheduled,
    commandsPerTimer: sum(saturated.commands) / scheduled,
    cpuUsPerCommand: (1_000 * sum(saturated.cpuMs)) / sum(saturated.commands),
    pacedCpuUsPerTimer: (1_000 * sum(paced.cpuMs)) / scheduled,
    pacedCommandsPerTimer: sum(paced.commands) / scheduled,
    pacedCpuUsPerCommand: (1_000 * sum(paced.cpuMs)) / sum(paced.commands),
    busiestPercent: percentOfLargest(saturated.cpuMs),
  }
}

/** What each server spent meanwhile. */
async function spentOn(servers: readonly RedisServer[], work: () => Promise<unknown>): Promise<{ cpuMs: number[]; commands: number[] }> {
  const used = () => Promise.all(servers.map(({ client }) => redisUse(client)))
  const before = await used()
  await work()
  await sleep(AFTER_MS)
  const after = await used()
  const grown = (figure: 'cpuMs' | 'commands') => after.map((use, i) => use[figure] - (before[i]?.[figure] ?? 0))
  return { cpuMs: grown('cpuMs'), commands: grown('commands') }
}

async function memoryOf({ client }: RedisServer): Promise<number> {
  return (await redisUse(client)).memoryBytes
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function percentOfLargest(values: readonly number[]): number {
  return (100 * Math.max(...values)) / sum(values)
}
