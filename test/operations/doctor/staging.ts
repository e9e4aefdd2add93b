// The shop of the doctor's tests: two rules, one of each kind of deadline.

import { transition } from '../../../lib/index.js'
import type { Database } from '../../support/database.js'

export const confirming = ({ Order }: Pick<Database, 'Order'>) => ({
  order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
  order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
})
