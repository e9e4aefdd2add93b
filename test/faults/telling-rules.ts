// The rules of workers in processes of their own that can be stopped at any step: each part of a settlement says to Postgres where it is, so
// that a proxy knows. `afterCommit` writes down under which key it told.

import { type ModelStatic, QueryTypes, type Sequelize } from 'sequelize'
import { transition } from '../../lib/index.js'
import type { OrderRow } from '../support/order.js'

export const TOLD_TABLE = 'CREATE TABLE told (key text NOT NULL)'

export function makeRules(Order: ModelStatic<OrderRow>, sequelize: Sequelize) {
  const say = (step: string) => sequelize.query(`SELECT '${step}'`, { transaction: null })
  return {
    order_confirm: transition(Order, {
      from: 4,
      to: 5,
      deadline: 'confirmDueAt',
      after: '24h',
      history: true,
      run: async (orders, { transaction }) => {
        const bind = [orders.map((order) => order.id)]
        await sequelize.query('INSERT INTO effects SELECT unnest($1::int[])', { bind, transaction, type: QueryTypes.INSERT })
        await sequelize.query(`SELECT 'run ends'`, { transaction })
      },
      afterCommit: async (_orders, { idempotencyKeys }) => {
        await say('telling begins')
        const bind = [idempotencyKeys]
        await sequelize.query('INSERT INTO told SELECT unnest($1::text[])', { bind, transaction: null, type: QueryTypes.INSERT })
        await say('telling ends')
      },
    }),
  }
}
