// Keys that another client sets with plain SETEX, among 100,000 other keys with a TTL: from each key's expiry, as Redis tells
// it, to the commit of its order. Ours looks for such keys by scans: it is up for two of them, and the keys live for two more. With Exg, Redis tells it of
// them: no scan is awaited, and they live for two seconds.
import { setTimeout as sleep } from 'node:timers/promises'
import { commitsOf, waitForCommits } from '../commits.js'
import { addExternalKeys } from '../external-keys.js'
import type { HiredChild } from '../hired-child.js'
import { addOrders, settleDown } from '../orders.js'
import { latenessOf } from '../row.js'
import { OURS, type SystemName } from '../systems/index.js'
import type { Scenario } from './scenario.js'

const SPACING_MS = 5
const SCANS = 2
const MOST_SCANNING_MS = 400_000
/** Where nobody scans. */
const TTL_SECONDS = 30
const TOLD = 'Exg'
const TOLD_TTL_SECONDS = 2
const PREFIX = 'order_confirm:'

export const external: Scenario = {
  name: 'external',
  title: 'keys set with SETEX by another client, among 100,000 others with a TTL, from expiry to commit',
  systems: [OURS, 'setex-listener'],
  n: 1_000,
  pendings: [100_000],
  rounds: 1,
  entries: (system, n, pending) => [{ system, n, pending }, ...(system === OURS ? [{ system, variant: TOLD, n, pending }] : [])],
  run: async (site, { system, variant, n, pending }) => {
    const { sql } = site.database
    const { client } = site.redis
    await addOrders(sql, { firstId: 1, count: n, dueAt: null })
    await settleDown(sql)
    await addExternalKeys(client, pending)
    if (variant === TOLD) await client.config('SET', 'notify-keyspace-events', TOLD)
    const worker = await site.hire()
    await worker.ask('work', { system: system as SystemName, order: { ...site.place, variant: 'external', dueAt: Date.now(), n } })
    const ttlSeconds = variant === TOLD ? TOLD_TTL_SECONDS : await secondsToFind(system, worker)
    const expiries = new Map<number, number>()
    for (let id = 1; id <= n; id += 1) {
      await client.setex(PREFIX + id, ttlSeconds, '1')
      expiries.set(id, await client.pexpiretime(PREFIX + id))
      await sleep(SPACING_MS)
    }
    await waitForCommits(sql, { n, from: Math.max(...expiries.values()), patienceMs: 60_000 })
    const late = (await commitsOf(sql)).map(({ id, at }) => at - expiries.get(id)!)
    const latenessMs = latenessOf(late)
    await worker.ask('closeWorker')
    return { delivered: late.length, ...(latenessMs && { latenessMs }), detail: { ttlSeconds } }
  },
}

async function secondsToFind(system: string, worker: HiredChild): Promise<number> {
  return system === OURS ? Math.ceil((await durationOfScans(worker)) / 1000) + 5 : TTL_SECONDS
}

/** @returns how long the worker's scans took that it has completed, milliseconds */
async function durationOfScans(worker: HiredChild): Promise<number> {
  const startedAt = performance.now()
  while (((await worker.ask('detail')).externalScans ?? 0) < SCANS) {
    if (performance.now() - startedAt > MOST_SCANNING_MS)
      throw new Error(`the worker did not complete ${SCANS} scans in ${MOST_SCANNING_MS / 1000} s`)
    await sleep(100)
  }
  return performance.now() - startedAt
}
