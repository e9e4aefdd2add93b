// One rule of each form over the tests' orders.

import { transition } from '../../lib/index.js'
import type { Database } from './database.js'

export const DAY_MS = 86_400_000
export const PAY_MS = 900_000

export function oneOfEach({ Order }: Pick<Database, 'Order'>) {
  return {
    /** A deadline of each order's own, on its row. */
    order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
    /** Counted from a column that is there anyway. */
    order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
    /** In Redis alone, guarded by the status. */
    order_ship: transition(Order, { from: 2, to: 0, deadline: false, after: '24h' }),
    /** In Redis alone, guarded by nothing. */
    order_other: async (_work: { kind: string; ids: string[] }) => {},
  }
}

export type OneOfEach = ReturnType<typeof oneOfEach>
