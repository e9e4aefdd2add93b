// The form of an invariant: what must hold, and what of a run breaks it. Each has a file of its own in invariants/.

import type { Feature } from '../history.js'
import type { Case, Order } from './orders.js'
import type { Anomaly } from './run.js'

export interface Invariant {
  /** As the file is called. */
  name: string
  /** Must be true of every run. */
  holds: string
  judge(found: Case): Anomaly[]
}

/** What one order breaks: the message, the evidence, and the feature where it is another than the order's. */
export interface Breach {
  message: string
  evidence: Record<string, unknown>
  feature?: Feature
}

/** An invariant that is judged for each order by itself. */
export function ofEachOrder(name: string, holds: string, breaches: (order: Order, found: Case) => Iterable<Breach>): Invariant {
  return {
    name,
    holds,
    judge: (found) =>
      found.orders.flatMap((order) => [...breaches(order, found)].map((breach) => anomaly(name, order.feature, order.name, breach))),
  }
}

export function anomaly(invariant: string, feature: Feature, order: string, breach: Breach): Anomaly {
  return { invariant, feature: breach.feature ?? feature, order, message: breach.message, evidence: breach.evidence }
}
