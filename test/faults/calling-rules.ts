// A plain function as the rule of workers in processes of their own: each call has a row in the table `effects`.

import { type ModelStatic, QueryTypes, type Sequelize } from 'sequelize'
import type { HandlerWork } from '../../lib/index.js'
import type { OrderRow } from '../support/order.js'

export function makeRules(_Order: ModelStatic<OrderRow>, sequelize: Sequelize) {
  return {
    order_other: async ({ ids }: HandlerWork) => {
      await sequelize.query('INSERT INTO effects SELECT unnest($1::int[])', { bind: [ids], type: QueryTypes.INSERT })
    },
  }
}
