// Rules whose deadlines Redis alone has: no sweep finds them, so what a claim loses is lost.

import type { ModelStatic } from 'sequelize'
import { transition } from '../../lib/index.js'
import type { OrderRow } from '../support/order.js'

export function makeRules(Order: ModelStatic<OrderRow>) {
  return { order_confirm: transition(Order, { from: 4, to: 5, deadline: false }) }
}
