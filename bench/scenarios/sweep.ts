// The sweep over Postgres alone: among many orders some turn up that are overdue, and Redis knows nothing of them (an import, a restored
// table, a Redis that lost its data). The worker is up, as in the drain, and sweeps each second; before, its sweeps find nothing overdue,
// and their horizon is told apart. Beside it, in the same rounds, what it is to keep up with: a drain of as many orders in as large a table,
// all of which Redis has. The limit updates the same orders in batches.
import { setTimeout as sleep } from 'node:timers/promises'
import { commitsOf, waitForCommits } from '../commits.js'
import { addOrders, DAY_MS, settleDown } from '../orders.js'
import { settle } from '../settling.js'
import type { Site } from '../site.js'
import { OURS, type SystemName } from '../systems/index.js'
import { drained } from './drain.js'
import type { Entry, Scenario } from './scenario.js'

const DRAIN = 'drain'
const EMPTY_SWEEPS = 10
const PATIENCE_MS = 60_000

export const sweep: Scenario = {
  name: 'sweep',
  title: 'overdue orders among many in the table, Redis empty',
  systems: [OURS, 'limit'],
  n: 20_000,
  pendings: [1_000_000],
  rounds: 5,
  entries: (system, n, pending) =>
    system === OURS
      ? [
          { system, n, pending },
          { system, variant: DRAIN, n, pending },
        ]
      : [{ system, n, pending }],
  run: async (site, entry) => {
    const { n, pending } = entry
    if (entry.variant === DRAIN) {
      return drained(await settle(site, { system: OURS, n, pending: pending - n, spacingMs: 0, patienceMs: PATIENCE_MS }), n)
    }
    const { sql } = site.database
    await addOrders(sql, { firstId: n + 1, count: pending - n, dueAt: Date.now() + DAY_MS })
    await settleDown(sql)
    const { begunAt, detail } = entry.system === OURS ? await bySweep(site, entry) : await byLimit(site, entry)
    const commits = await commitsOf(sql)
    const elapsedMs = commits.reduce((last, { at }) => Math.max(last, at), begunAt) - begunAt
    return { perSecond: commits.length / (elapsedMs / 1000), delivered: commits.length, ...(detail && { detail }) }
  },
}

/** From the beginning of the sweep that found them. */
async function bySweep(site: Site, { system, n }: Entry): Promise<{ begunAt: number; detail?: Record<string, number> }> {
  const { sql } = site.database
  const child = await site.hire()
  await child.ask('work', { system: system as SystemName, order: { ...site.place, variant: 'sweep', dueAt: Date.now(), n } })
  while (((await child.ask('detail')).emptySweeps ?? 0) < EMPTY_SWEEPS) await sleep(200)
  await addOverdue(site, n)
  await waitForCommits(sql, { n, from: Date.now(), patienceMs: PATIENCE_MS })
  await sleep(300)
  const { begunAt = Number.NaN, emptySweeps: _, ...detail } = await child.ask('detail')
  await child.ask('closeWorker')
  return { begunAt, detail }
}

async function byLimit(site: Site, { system, n }: Entry): Promise<{ begunAt: number; detail?: never }> {
  const { sql } = site.database
  await addOverdue(site, n)
  const child = await site.hire()
  const begunAt = Date.now() + 1_000
  await child.ask('work', { system: system as SystemName, order: { ...site.place, dueAt: begunAt, n } })
  await waitForCommits(sql, { n, from: begunAt, patienceMs: PATIENCE_MS })
  await child.ask('closeWorker')
  return { begunAt }
}

/** Each has a deadline of its own, as orders that were missed have. */
function addOverdue(site: Site, n: number): Promise<void> {
  return addOrders(site.database.sql, { firstId: 1, count: n, dueAt: Date.now() - 60_000 - n, spacingMs: 1 })
}
