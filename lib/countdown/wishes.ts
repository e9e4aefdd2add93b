// The orders that a request asks for: `?order_pay=34,35&order_confirm=12`.

import type { Runtime } from '../timers/runtime.js'
import { Refusal } from '../web/refusal.js'
import type { Watched } from './looks.js'

/** Of one request. The ids of 100 orders fit into a URL, whatever their type. */
const MOST_ORDERS = 100
const LONGEST_ID = 128

export interface Wish {
  kind: string
  /** As it was asked for. */
  id: string
  /** As the rule writes it; none if it can be no id. */
  watched: Watched | undefined
}

/** @throws Refusal 400, and OrderTimersError if a rule's model is wrong */
export function wishesIn(query: string, runtime: Runtime): Wish[] {
  const asked = [...new URLSearchParams(query)].flatMap(([kind, ids]) =>
    ids
      .split(',')
      .filter((id) => id !== '')
      .map((id) => ({ kind, id })),
  )
  if (asked.length === 0) throw new Refusal(400, 'NO_ORDERS', 'say which orders, such as ?order_pay=34,35')
  if (asked.length > MOST_ORDERS) throw new Refusal(400, 'TOO_MANY_ORDERS', `ask for ${MOST_ORDERS} orders at most`)
  return asked.map(({ kind, id }) => {
    const rule = runtime.kinds.includes(kind) ? runtime.rule(kind) : undefined
    if (!rule?.row || rule.row.deadline.in === 'redis')
      throw new Refusal(400, 'UNKNOWN_KIND', 'a countdown is of a rule with its deadline on the row')
    const canonical = id.length > LONGEST_ID ? null : rule.parseId(id)
    return { kind, id, watched: canonical === null ? undefined : { kind, id: canonical } }
  })
}
