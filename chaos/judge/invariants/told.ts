// What a worker reports as settled was settled: it speaks after the commit. And nothing that it reports is the package's own fault.

import { anomaly, type Invariant } from '../invariant.js'
import type { Case } from '../orders.js'

/** Faults that no server, link or clock brings about. */
const MISTAKES = new Set(['INTERNAL', 'INVALID_MODEL'])

export const told: Invariant = {
  name: 'told',
  holds: 'A worker reports no order as settled more often than it was, and no mistake of the package or of its configuration.',
  judge: (found) => {
    const mistakes = found.run.told.flatMap((event) => {
      const code = event.event === 'fault' ? String(event.details?.code) : ''
      if (!MISTAKES.has(code)) return []
      return [anomaly('told', 'since', event.kind ?? '', { message: `${event.by} reported the fault ${code}`, evidence: { event } })]
    })
    const settled = countSettled(found)
    const reported = new Map<string, number>()
    const tooOften = found.run.told.flatMap((event) => {
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
    return [...tooOften, ...mistakes]
  },
}

function countSettled({ orders }: Case): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { settlements, id } of orders) {
    for (const { rule } of settlements) counts.set(`${rule.kind} ${id}`, (counts.get(`${rule.kind} ${id}`) ?? 0) + 1)
  }
  return counts
}
