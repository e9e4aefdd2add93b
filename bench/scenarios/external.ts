// Keys that PHP sets with plain SETEX, among other keys with a TTL: from each key's expiry, as Redis tells
// it, to the commit of its order. Ours looks for such keys by scans: it has completed one, and the keys live a little longer than that one took. With Exg,
// Redis tells it of them: no scan is awaited, and they live for two seconds.
import { setTimeout as sleep } from 'node:timers/promises'
import { commitsOf, waitForCommits } from '../commits.js'
import { addExternalKeys } from '../external-keys.js'
import type { HiredChild } from '../hired-child.js'
import { addOrders, settleDown } from '../orders.js'
import { setByPhp } from '../php.js'
import { latenessOf } from '../row.js'
import { OURS, type SystemName } from '../systems/index.js'
import type { Scenario } from './scenario.js'

const SPACING_MS = 5
/** The next scan may take as much longer. */
const LONGER = 1.1
/** For each other key. */
const MOST_SCANNING_MS = 3
/** Where nobody scans. */
const TTL_SECONDS = 30
const TOLD = 'Exg'
const TOLD_TTL_SECONDS = 2
const PREFIX = 'order_confirm:'

export const external: Scenario = {
  name: 'external',
  title: 'keys set with SETEX by PHP, among so many others with a TTL, from expiry to commit',
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
    const ttlSeconds = variant === TOLD ? TOLD_TTL_SECONDS : await secondsToFind(system, worker, pending)
    const expiries = await setByPhp({
      redisUrl: site.redis.url,
      prefix: PREFIX,
      seconds: ttlSeconds,
      firstId: 1,
      count: n,
      spacingMs: SPACING_MS,
    })
    await waitForCommits(sql, { n, from: Math.max(...expiries.values()), patienceMs: 60_000 })
    const late = (await commitsOf(sql)).map(({ id, at }) => at - expiries.get(id)!)
    const latenessMs = latenessOf(late)
    await worker.ask('closeWorker')
    return { delivered: late.length, ...(latenessMs && { latenessMs }), detail: { ttlSeconds } }
  },
}

async function secondsToFind(system: string, worker: HiredChild, others: number): Promise<number> {
  return system === OURS ? Math.ceil((LONGER * (await durationOfScan(worker, others))) / 1000) + 5 : TTL_SECONDS
}

/** @returns how long the worker's first scan took, milliseconds */
async function durationOfScan(worker: HiredChild, others: number): Promise<number> {
  const startedAt = performance.now()
  const mostMs = 60_000 + MOST_SCANNING_MS * others
  while (!(await worker.ask('detail')).externalScans) {
    if (performance.now() - startedAt > mostMs) throw new Error(`the worker did not complete a scan in ${mostMs / 1000} s`)
    await sleep(100)
  }
  return performance.now() - startedAt
}
