// What is late while Redis fails over, and that nothing else is: orders due 3 ms apart for a minute, on a cluster of three primaries with replicas or
// on a primary with a replica and three Sentinels. After a third the primary is killed. On the cluster, after two thirds slots move from one primary to another,
// with a part of the due index among them. The lateness shown is that of the orders that were not due during the failover.
import { setTimeout as sleep } from 'node:timers/promises'
import { Keys } from '../../lib/keys.js'
import { SLOTS, slotOf } from '../../lib/slots.js'
import { RedisCluster } from '../../test/support/redis-cluster.js'
import { Sentinels } from '../../test/support/sentinels.js'
import { waitUntil } from '../../test/support/waiting.js'
import { type Figures, latenessOf } from '../row.js'
import { settle } from '../settling.js'
import type { Site } from '../site.js'
import { OURS } from '../systems/index.js'
import type { Scenario } from './scenario.js'

const SPACING_MS = 3
const PATIENCE_MS = 90_000
/** From the moment when all slots, or the address, are served again: connections are opened anew, and what came due meanwhile is settled. */
const AFTER_MS = 2_000
/** What was being claimed when the primary was killed belongs to the failover. */
const BEFORE_MS = 100
const MOVED_SLOTS = 200
const VARIANTS: Record<string, (site: Site) => Promise<Topology>> = { cluster: startCluster, sentinel: startSentinels }

interface Topology {
  /** Kills a primary. Resolves when another server has taken over. */
  kill(): Promise<void>
  moveSlots?(): Promise<void>
  stop(): Promise<void>
}

export const failover: Scenario = {
  name: 'failover',
  title: 'orders due 3 ms apart while a primary of Redis is killed and slots move: those not due during the failover',
  systems: [OURS],
  n: 20_000,
  pendings: [0],
  rounds: 1,
  entries: (system, n, pending) => Object.keys(VARIANTS).map((variant) => ({ system, variant, n, pending })),
  run: async (site, { n, pending, variant = '' }) => {
    const topology = await VARIANTS[variant]!(site)
    try {
      return await measure(site, topology, n, pending)
    } finally {
      await topology.stop()
    }
  },
}

async function measure(site: Site, topology: Topology, n: number, pending: number): Promise<Figures> {
  const failedOver = { from: 0, to: 0 }
  let movedMs = 0
  const meanwhile = async (dueAt: number) => {
    const at = (part: number) => sleep(Math.max(0, dueAt + part * n * SPACING_MS - Date.now()))
    await at(1 / 3)
    failedOver.from = Date.now()
    await topology.kill()
    failedOver.to = Date.now()
    await at(2 / 3)
    await topology.moveSlots?.()
    movedMs = Date.now() - (dueAt + (2 / 3) * n * SPACING_MS)
  }
  const { latenessMs, deadlines, updates } = await settle(site, {
    ...{ system: OURS, n, pending, spacingMs: SPACING_MS, patienceMs: PATIENCE_MS, meanwhile },
  })
  const isDuring = (_: number, i: number) => deadlines[i]! >= failedOver.from - BEFORE_MS && deadlines[i]! <= failedOver.to + AFTER_MS
  const late = latenessOf(latenessMs.filter((ms, i) => !isDuring(ms, i)))
  return {
    delivered: latenessMs.length,
    ...(late && { latenessMs: late }),
    detail: {
      failoverMs: failedOver.to - failedOver.from,
      latestDuringMs: Math.max(0, ...latenessMs.filter(isDuring)),
      early: latenessMs.filter((ms) => ms < 0).length,
      twice: updates - latenessMs.length,
      ...(topology.moveSlots && { movingMs: movedMs }),
    },
  }
}

async function startCluster(site: Site): Promise<Topology> {
  const cluster = await RedisCluster.start()
  site.cluster = { nodes: cluster.nodes.map(({ server }) => server) }
  return {
    kill: async () => void (await cluster.killPrimary((await cluster.primaries())[0]!)),
    moveSlots: async () => {
      const slot = slotOf(new Keys('', true).sets('order_confirm', 0).due)
      const from = await cluster.ownerOf(slot)
      const to = (await cluster.primaries()).find(({ id }) => id !== from.id)!
      const [first, last] = (await cluster.slotsOf(from)).find((range) => range[0] <= slot && slot <= range[1]) ?? [slot, slot]
      const begin = Math.max(first, slot - MOVED_SLOTS / 2)
      await cluster.moveSlots(from, to, [begin, Math.min(last, begin + MOVED_SLOTS - 1, SLOTS - 1)])
    },
    stop: () => cluster.stop(),
  }
}

async function startSentinels(site: Site): Promise<Topology> {
  const sentinels = await Sentinels.start()
  site.sentinels = sentinels.ports
  const isPrimary = async () => ((await sentinels.client(sentinels.second.port).call('ROLE')) as unknown[])[0] === 'master'
  return {
    kill: async () => {
      await sentinels.first.kill()
      await waitUntil(isPrimary, { within: 30_000, every: 50, what: 'the replica to take over' })
    },
    stop: () => sentinels.stop(),
  }
}
