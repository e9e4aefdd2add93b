// The rules of a worker in a process of its own, for test/operations/incidents.test.ts.

import type { ModelStatic } from 'sequelize'
import { transition } from '../../lib/index.js'
import type { OrderRow } from '../support/order.js'

export const makeRules = (Order: ModelStatic<OrderRow>) => ({
  order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
})
