// The tables of the payments shop, and the one rule: orders that are not paid in time are cancelled, once the payment service says that nothing can be
// paid for them any more.

import { DataTypes, Model, type ModelStatic, type Sequelize } from 'sequelize'
import { transition } from '../../lib/index.js'
import type { Ask } from '../../lib/rows/row-options.js'

/** `close`: closes the sessions and asks; `look`: only looks up whether one was paid. */
export type Asking = 'close' | 'look'

export class PlacedOrder extends Model {
  declare id: number
  declare status: 'placed' | 'paid' | 'cancelled'
  declare dueAt: Date | null
  declare sessions: number
}

export function definePlacedOrder(sequelize: Sequelize): ModelStatic<PlacedOrder> {
  class Order extends PlacedOrder {}
  return Order.init(
    {
      id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
      status: { type: DataTypes.STRING, allowNull: false, defaultValue: 'placed' },
      dueAt: DataTypes.DATE,
      sessions: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 0 },
    },
    { sequelize, modelName: 'Order', tableName: 'orders', timestamps: false },
  )
}

export const BATCH = 20
export const CONCURRENCY = 2

export function paymentRules(Order: ModelStatic<PlacedOrder>, ask: Ask<PlacedOrder>) {
  return {
    order_pay: transition(Order, {
      ...{ from: 'placed', to: 'cancelled', deadline: 'dueAt', after: '3s', history: true },
      verify: { ask, batch: BATCH, concurrency: CONCURRENCY, perSecond: 5_000, timeout: '2s' },
    }),
  }
}

/** Asks the simulated payment service about each order by itself. */
export function askService(url: string, asking: Asking): Ask<PlacedOrder> {
  return async (orders, { signal }) =>
    orders.map(async ({ id }) => {
      const [path, method] = asking === 'close' ? ['close', 'POST'] : ['order', 'GET']
      const response = await fetch(`${url}/${path}/${id}`, { method, signal })
      if (response.status === 404) throw new Error('the payment service does not know this order')
      if (!response.ok) throw Object.assign(new Error(`the payment service answers ${response.status}`), { retryAfter: 1 })
      const { state, id: reference } = (await response.json()) as { state: string; id: string }
      return state === 'paid' ? false : { answer: true, reference }
    })
}
