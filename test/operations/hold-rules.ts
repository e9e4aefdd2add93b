// The rule of hold.test.ts, for the test, the workers and the process that releases.

import type { ModelStatic } from 'sequelize'
import { transition } from '../../lib/index.js'
import type { OrderRow } from '../support/order.js'

export function makeRules(Order: ModelStatic<OrderRow>) {
  return { order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }) }
}
