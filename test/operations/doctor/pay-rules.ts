// The rule of a worker in a process of its own, for the tests of clocks.

import type { ModelStatic } from 'sequelize'
import { transition } from '../../../lib/index.js'
import type { OrderRow } from '../../support/order.js'

export function makeRules(Order: ModelStatic<OrderRow>) {
  return { order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }) }
}
