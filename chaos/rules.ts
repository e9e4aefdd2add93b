// The rules of the chaos run's shop: unpaid orders (1) are cancelled (0), shipped ones (4) confirmed (5). A confirmation has an effect in
// the settling transaction, a row that is counted at the end.

import { type ModelStatic, QueryTypes, type Sequelize } from 'sequelize'
import { transition } from '../lib/index.js'
import type { OrderRow } from '../test/support/order.js'

export const PAY_WITHIN_MS = 3000

/** Each status's deadline, for the ledger. */
export const LEDGER_DEADLINE = `CASE OLD.status WHEN 1 THEN OLD."createdAt" + interval '${PAY_WITHIN_MS} ms' ELSE OLD."confirmDueAt" END`

export const EFFECTS_TABLE = 'CREATE TABLE effects (order_id int NOT NULL)'

export function makeRules(Order: ModelStatic<OrderRow>, sequelize: Sequelize) {
  return {
    order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: PAY_WITHIN_MS }),
    order_confirm: transition(Order, {
      from: 4,
      to: 5,
      deadline: 'confirmDueAt',
      after: '3s',
      run: async (orders, { transaction }) => {
        const bind = [orders.map((order) => order.id)]
        await sequelize.query('INSERT INTO effects SELECT unnest($1::int[])', { bind, transaction, type: QueryTypes.INSERT })
      },
    }),
  }
}
