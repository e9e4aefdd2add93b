// How many commands a worker with nothing to do sends to each primary of a cluster.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkerOptions } from '../../lib/index.js'
import { transition } from '../../lib/index.js'
import type { Database } from '../support/database.js'
import { enter } from '../support/opened.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

function threeRules({ Order }: Pick<Database, 'Order'>) {
  return {
    order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
    order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
    order_ship: transition(Order, { from: 2, to: 0, deadline: false, after: '24h' }),
  }
}

/** Longer than between two looks of a worker at a server that its pulses do not describe. */
const START_IS_OVER_MS = 12_000

/**
 * Commands a second that each primary gets, without what scripts do inside Redis. The client asks any node for the slots, a replica as well: each
 * primary counts as asked equally often.
 */
async function idleCommands(
  cluster: RedisCluster,
  options: WorkerOptions,
  windowMs: number,
): Promise<{ perSecond: number[]; shown: string }> {
  const shop = await openShop(threeRules, { redis: { nodes: cluster.addresses } })
  for (let i = 0; i < 40; i += 1) await shop.timers.schedule('order_confirm', await shop.order({ status: 4 }))
  const worker = await shop.worker({ fallback: false, ...options })
  await waitUntil(() => worker.health().redis?.events, { within: 30_000 })
  const primaries = await cluster.primaries()
  let counting = false
  let informedAt = performance.now()
  let forSlots = 0
  const watched = await Promise.all(
    cluster.nodes.map(async (node) => {
      const monitor = await node.client.monitor()
      const own: string[] = []
      monitor.on('monitor', (_time: string, [name = '', ...args]: string[], source: string) => {
        if (source === 'lua' || name === 'REPLCONF') return
        if (name === 'info') informedAt = performance.now()
        if (!counting) return
        if (name === 'cluster' || (name === 'client' && args[1]?.includes('refresher'))) forSlots += 1
        else own.push(name)
      })
      monitor.on('error', () => {})
      return { own, strikeOut: enter('a monitor', async () => monitor.disconnect()), monitor, isPrimary: primaries.includes(node) }
    }),
  )
  await waitUntil(() => performance.now() - informedAt > START_IS_OVER_MS, { within: 60_000, what: 'the end of the start' })
  counting = true
  const startedAt = performance.now()
  await sleep(windowMs) // a rate needs a time
  const seconds = (performance.now() - startedAt) / 1_000
  for (const { monitor, strikeOut } of watched) {
    monitor.disconnect()
    strikeOut()
  }
  assert.equal(worker.health().redis?.events, true)
  assert.deepEqual(worker.faultsTold, [])
  await shop.close()
  const sent = watched.filter(({ isPrimary }) => isPrimary)
  return {
    perSecond: sent.map(({ own }) => (own.length + forSlots / cluster.nodes.length) / seconds),
    shown: `${sent.map(({ own }) => `${own.length}: ${own.join(' ')}`).join('\n')}\nand ${forSlots} for the slots, of all nodes, in ${Math.round(seconds)} s`,
  }
}

describe('A worker that has nothing to do on a cluster of three primaries', () => {
  it('sends each about a command a second, and in an economy one in five seconds', async () => {
    const cluster = await RedisCluster.start()
    // the times are multiples of the intervals between pulses: else a few more or less of all of them fall into the window
    const usual = await idleCommands(cluster, {}, 31_500)
    const economy = await idleCommands(cluster, { idle: 'economy' }, 60_000)
    const mean = (rates: number[]) => rates.reduce((sum, rate) => sum + rate, 0) / rates.length
    assert.ok(mean(usual.perSecond) <= 1.15 && Math.max(...usual.perSecond) <= 1.4, usual.shown)
    assert.ok(mean(economy.perSecond) <= 0.21 && Math.max(...economy.perSecond) <= 0.3, economy.shown)
    for (const { perSecond, shown } of [usual, economy]) assert.ok(Math.min(...perSecond) > 0, shown)
    await cluster.stop()
  }).timeout(300_000)
})
