// What a worker reports as settled was settled: it speaks after the commit.

import { anomaly, type Invariant } from '../invariant.js'
import type { Case } from '../orders.js'

export const told: Invariant = {
  name: 'told',
  holds: 'A worker reports no order as settled more often than it was.',
  judge: (found) => {
    const settled = countSettled(found)
    const reported = new Map<string, number>()
    return found.run.told.flatMap((event) => {
      const rule = event.event === 'settled' && event.kind !== undefined ? found.rule(event.kind) : undefined
      if (!rule || rule.table === null) return []
      return ((event.details?.ids ?? []) as string[]).flatMap((id) => {
        const name = `${rule.kind} ${id}`
        const times = (reported.get(name) ?? 0) + 1
        reported.set(name, times)
        if (times !== (settled.get(name) ?? 0) + 1) return []
        const message = `${rule.kind}: was reported as settled ${times} times and settled ${settled.get(name) ?? 0} times`
        return [anomaly('told', rule.features[0] ?? 'since', `${rule.table} ${id}`, { message, evidence: { event } })]
      })
    })
  },
}

function countSettled({ orders }: Case): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { settlements, id } of orders) {
    for (const { rule } of settlements) counts.set(`${rule.kind} ${id}`, (counts.get(`${rule.kind} ${id}`) ?? 0) + 1)
  }
  return counts
}
