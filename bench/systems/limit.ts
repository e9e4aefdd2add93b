// The bare limit: nobody schedules and nobody listens. At the instant that the orders come due they are updated in batches
// of 1,000, one after the other, by Model.update with `returning`.
import { setTimeout as sleep } from 'node:timers/promises'
import { CONFIRMED, Order, openOrders, SHIPPED } from '../order.js'
import type { System } from './system.js'

const BATCH = 1_000

export const limit: System = {
  async produce() {
    return { schedule: async () => {}, load: async () => {}, close: async () => {} }
  },

  async work({ databaseUrl, dueAt, n }) {
    const sequelize = openOrders(databaseUrl)
    await sequelize.authenticate()
    let handled = 0
    const updateAll = async () => {
      await sleep(Math.max(0, dueAt - Date.now()))
      for (let first = 1; first <= n; first += BATCH) {
        const ids = Array.from({ length: Math.min(BATCH, n - first + 1) }, (_, i) => first + i)
        await Order.update({ status: CONFIRMED }, { where: { id: ids, status: SHIPPED }, returning: ['id'] })
        handled += ids.length
      }
    }
    const done = updateAll()
    return {
      handled: () => handled,
      close: async () => {
        await done
        await sequelize.close()
      },
    }
  },
}
