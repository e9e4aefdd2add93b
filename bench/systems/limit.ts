// The bare limit: nobody schedules and nobody listens. At the instant that the orders come due they are updated in batches
// of 1,000, one after the other, by Model.update with `returning`; where they come due one by one, each alone, by a timer of this process.
import { setTimeout as sleep } from 'node:timers/promises'
import { CONFIRMED, Order, openOrders, SHIPPED } from '../order.js'
import type { System } from './system.js'

const BATCH = 1_000

export const limit: System = {
  async produce() {
    return { schedule: async () => {}, load: async () => {}, close: async () => {} }
  },

  async work({ databaseUrl, dueAt, spacingMs = 0, n }) {
    const sequelize = openOrders(databaseUrl)
    await sequelize.authenticate()
    let handled = 0
    const update = async (ids: number[]) => {
      await Order.update({ status: CONFIRMED }, { where: { id: ids, status: SHIPPED }, returning: ['id'] })
      handled += ids.length
    }
    const updateBatches = async () => {
      await sleep(Math.max(0, dueAt - Date.now()))
      for (let first = 1; first <= n; first += BATCH)
        await update(Array.from({ length: Math.min(BATCH, n - first + 1) }, (_, i) => first + i))
    }
    const updateEach = async () => {
      const updates: Promise<void>[] = []
      for (let id = 1; id <= n; id += 1) {
        await sleep(Math.max(0, dueAt + (id - 1) * spacingMs - Date.now()))
        updates.push(update([id]))
      }
      await Promise.all(updates)
    }
    const done = spacingMs > 0 ? updateEach() : updateBatches()
    return {
      handled: () => handled,
      close: async () => {
        await done
        await sequelize.close()
      },
    }
  },
}
