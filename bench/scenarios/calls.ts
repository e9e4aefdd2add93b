// What a call costs that puts the deadline on the order's row, one call after the other and 20 at a time, beside the same without the timers: an UPDATE by
// Sequelize and a SETEX. Each is measured in turns with the other, a few hundred calls at a time, since they differ by less than a machine does from one
// second to the next.
import { addOrders, DAY_MS, settleDown } from '../orders.js'
import type { Site } from '../site.js'
import { OURS, type SystemName } from '../systems/index.js'
import { ON_ROW } from '../systems/setex-listener.js'
import type { Scenario } from './scenario.js'

const IN_FLIGHT: Record<string, number> = { 'one at a time': 1, '20 at a time': 20 }

/** Those before bring connections and compiled code: in the first thousands of a process both sides cost more, and ours is more to compile. */
const FIRST = 5_000
const AT_A_TIME = 250

export const calls: Scenario = {
  name: 'calls',
  title: "calls that put a deadline on the order's row, beside UPDATE and SETEX",
  systems: [OURS, 'setex-listener'],
  n: 10_000,
  pendings: [0],
  rounds: 5,
  entries: (system, n, pending) => Object.keys(IN_FLIGHT).map((variant) => ({ system, variant, n, pending })),
  run: async (site, { system, variant = '', n }) => {
    const inFlight = IN_FLIGHT[variant] as number
    const all = n + FIRST
    await addOrders(site.database.sql, { firstId: 1, count: 2 * all, dueAt: null })
    await settleDown(site.database.sql)
    const own = await hire(site, system as SystemName)
    const other = await hire(site, system === OURS ? 'setex-listener' : OURS)
    let [ownMs, otherMs] = [0, 0]
    for (let done = 0; done < all; done += AT_A_TIME) {
      const calls = { count: Math.min(AT_A_TIME, all - done), delayMs: DAY_MS, inFlight }
      const took = await own.ask('schedule', { ...calls, firstId: 1 + done })
      const otherTook = await other.ask('schedule', { ...calls, firstId: 1 + all + done })
      if (done < FIRST) continue
      ownMs += took
      otherMs += otherTook
    }
    for (const child of [own, other]) {
      await child.ask('closeProducer')
      await child.end()
    }
    return { perSecond: n / (ownMs / 1000), detail: { timeAgainstTheOther: ownMs / otherMs } }
  },
}

async function hire(site: Site, system: SystemName) {
  const child = await site.hire()
  await child.ask('produce', { system, place: { ...site.place, variant: ON_ROW } })
  return child
}
