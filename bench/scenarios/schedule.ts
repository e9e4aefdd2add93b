// How fast timers are scheduled, one call for each, and what each costs in Redis. Ours in four ways: Redis's part alone (a rule
// with `since`, which writes no row) and with the deadline on the order's row, both directly and by requests to an Express app.

import { setTimeout as sleep } from 'node:timers/promises'
import { addOrders, DAY_MS, settleDown } from '../orders.js'
import { redisUse } from '../redis-server.js'
import { sendRequests } from '../requests.js'
import type { Figures } from '../row.js'
import type { Site } from '../site.js'
import { OURS, type SystemName } from '../systems/index.js'
import { IN_FLIGHT } from '../systems/system.js'
import { type Entry, PEERS, type Scenario } from './scenario.js'

/** Redis resizes its tables in the background; measured amid that, old and new ones count. */
const RESIZING_MS = 1_000

/**
 * Timers scheduled before Redis's memory is read for the first time. They bring what is there once and not for each timer: Redis keeps
 * some 26 KB of latencies for each command that it was ever sent (https://redis.io/docs/latest/commands/latency-histogram/).
 */
const FIRST_TIMERS = 100

const OUR_VARIANTS = ['redis', 'row', 'redis, express', 'row, express']

export const schedule: Scenario = {
  name: 'schedule',
  title: 'timers of 24 h scheduled, one call each, 100 calls in flight',
  systems: [OURS, ...PEERS, 'setex-listener'],
  n: 20_000,
  pendings: [0],
  rounds: 3,
  entries: (system, n, pending) =>
    system === OURS ? OUR_VARIANTS.map((variant) => ({ system, variant, n, pending })) : [{ system, n, pending }],
  run: async (site, entry) => {
    const { sql } = site.database
    await addOrders(sql, { firstId: 1, count: entry.n + FIRST_TIMERS, dueAt: null })
    await addPending(site, entry)
    await directly(site, entry, { firstId: entry.n + 1, count: FIRST_TIMERS })
    await settleDown(sql)
    const before = (await redisUse(site.redis.client)).memoryBytes
    const elapsedMs = entry.variant?.endsWith('express')
      ? await byRequests(site, entry)
      : await directly(site, entry, { firstId: 1, count: entry.n })
    const figures: Figures = { perSecond: entry.n / (elapsedMs / 1000) }
    await sleep(RESIZING_MS)
    const grown = (await redisUse(site.redis.client)).memoryBytes - before
    if (entry.system !== 'graphile-worker' && entry.system !== 'pg-boss') figures.bytesPerTimer = grown / entry.n
    return figures
  },
}

async function addPending(site: Site, { system, variant, n, pending }: Entry): Promise<void> {
  if (pending === 0) return
  const dueAt = Date.now() + DAY_MS
  const firstId = n + FIRST_TIMERS + 1
  await addOrders(site.database.sql, { firstId, count: pending, dueAt })
  const child = await site.hire()
  await child.ask('produce', { system: system as SystemName, place: { ...site.place, variant } })
  await child.ask('load', { firstId, count: pending, dueAt, spacingMs: 0 })
  await child.ask('closeProducer')
  await child.end()
}

async function directly(site: Site, { system, variant }: Entry, ids: { firstId: number; count: number }): Promise<number> {
  const child = await site.hire()
  const place = { ...site.place, variant: variant?.replace(', express', '') }
  await child.ask('produce', { system: system as SystemName, place })
  const elapsedMs = await child.ask('schedule', { ...ids, delayMs: DAY_MS })
  await child.ask('closeProducer')
  await child.end()
  return elapsedMs
}

async function byRequests(site: Site, { variant, n }: Entry): Promise<number> {
  const child = await site.hire()
  const place = { ...site.place, variant: variant?.replace(', express', '') }
  const port = await child.ask('serveExpress', { place, passed: 'the timers' })
  const { elapsedMs } = await sendRequests({ url: `http://127.0.0.1:${port}/ship`, method: 'POST', connections: IN_FLIGHT, requests: n })
  await child.end()
  return elapsedMs
}
