// What a call costs that puts the deadline on the order's row, one call after the other and 20 at a time, beside the same without the timers: an UPDATE by
// Sequelize and a SETEX.
import { addOrders, DAY_MS, settleDown } from '../orders.js'
import { OURS, type SystemName } from '../systems/index.js'
import { ON_ROW } from '../systems/setex-listener.js'
import type { Scenario } from './scenario.js'

const IN_FLIGHT: Record<string, number> = { 'one at a time': 1, '20 at a time': 20 }

/** Those before bring connections and compiled code. */
const FIRST = 1_000

export const calls: Scenario = {
  name: 'calls',
  title: "calls that put a deadline on the order's row, beside UPDATE and SETEX",
  systems: [OURS, 'setex-listener'],
  n: 5_000,
  pendings: [0],
  rounds: 9,
  entries: (system, n, pending) => Object.keys(IN_FLIGHT).map((variant) => ({ system, variant, n, pending })),
  run: async (site, { system, variant = '', n }) => {
    await addOrders(site.database.sql, { firstId: 1, count: n + FIRST, dueAt: null })
    await settleDown(site.database.sql)
    const inFlight = IN_FLIGHT[variant] as number
    const child = await site.hire()
    await child.ask('produce', { system: system as SystemName, place: { ...site.place, variant: ON_ROW } })
    await child.ask('schedule', { firstId: n + 1, count: FIRST, delayMs: DAY_MS, inFlight })
    const elapsedMs = await child.ask('schedule', { firstId: 1, count: n, delayMs: DAY_MS, inFlight })
    await child.ask('closeProducer')
    await child.end()
    return { perSecond: n / (elapsedMs / 1000) }
  },
}
