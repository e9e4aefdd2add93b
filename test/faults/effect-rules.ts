// The rules of workers in processes of their own: a confirmation has an effect in the settling transaction, a row in the table `effects`.

import { type ModelStatic, QueryTypes, type Sequelize } from 'sequelize'
import { transition } from '../../lib/index.js'
import type { OrderRow } from '../support/order.js'

export function makeRules(Order: ModelStatic<OrderRow>, sequelize: Sequelize) {
  return {
    order_confirm: transition(Order, {
      from: 4,
      to: 5,
      deadline: 'confirmDueAt',
      run: async (orders, { transaction }) => {
        const bind = [orders.map((order) => order.id)]
        await sequelize.query('INSERT INTO effects SELECT unnest($1::int[])', { bind, transaction, type: QueryTypes.INSERT })
      },
    }),
  }
}
