// The sweep over Postgres alone: many orders in the table, some of them overdue, and a Redis that knows nothing. Then a sweep
// that finds nothing overdue, with its horizon apart. The limit updates the same orders in batches.
import { commitsOf, waitForCommits } from '../commits.js'
import { addOrders, DAY_MS, settleDown } from '../orders.js'
import { OURS, type SystemName } from '../systems/index.js'
import type { Scenario } from './scenario.js'

export const sweep: Scenario = {
  name: 'sweep',
  title: 'overdue orders among many in the table, Redis empty',
  systems: [OURS, 'limit'],
  n: 20_000,
  pendings: [1_000_000],
  rounds: 3,
  entries: (system, n, pending) => [{ system, n, pending }],
  run: async (site, { system, n, pending }) => {
    const { sql } = site.database
    await addOrders(sql, { firstId: 1, count: n, dueAt: Date.now() - 60_000 })
    await addOrders(sql, { firstId: n + 1, count: pending - n, dueAt: Date.now() + DAY_MS })
    await settleDown(sql)
    const child = await site.hire()
    const startedAt = Date.now() + 1_000
    const order = { ...site.place, variant: 'sweep', dueAt: startedAt, n }
    const working = child.ask('work', { system: system as SystemName, order })
    await waitForCommits(sql, { n, from: Date.now(), patienceMs: 60_000 })
    await working
    const commits = await commitsOf(sql)
    const detail = await child.ask('detail')
    await child.ask('closeWorker')
    const elapsedMs = commits.reduce((last, { at }) => Math.max(last, at), startedAt) - startedAt
    return { perSecond: commits.length / (elapsedMs / 1000), delivered: commits.length, detail }
  },
}
