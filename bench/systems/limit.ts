// The bare limit: nobody schedules and nobody listens. At the instant that the orders come due they are updated in batches
// of 1,000, one after the other, by Model.update with `returning`; where they come due one by one, each alone, by a timer of this process.
// By plain SQL, which knows nothing of a model, two batches are under way at a time.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { CONFIRMED, Order, openOrders, SHIPPED } from '../order.js'
import { keepInFlight, type System, type Worker, type WorkOrder } from './system.js'

export const BY_SQL = 'plain SQL'

const BATCH = 1_000
const BATCHES_AT_ONCE = 2

export const limit: System = {
  async produce() {
    return { schedule: async () => {}, load: async () => {}, close: async () => {} }
  },

  async work(order) {
    if (order.variant === BY_SQL) return workBySql(order)
    const { databaseUrl, dueAt, spacingMs = 0, n } = order
    const sequelize = openOrders(databaseUrl)
    await sequelize.authenticate()
    let handled = 0
    const update = async (ids: number[]) => {
      await Order.update({ status: CONFIRMED }, { where: { id: ids, status: SHIPPED }, returning: ['id'] })
      handled += ids.length
    }
    const updateBatches = async () => {
      await sleep(Math.max(0, dueAt - Date.now()))
      for (const ids of batchesOf(n)) await update(ids)
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

async function workBySql({ databaseUrl, dueAt, n }: WorkOrder): Promise<Worker> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: BATCHES_AT_ONCE })
  await Promise.all(Array.from({ length: BATCHES_AT_ONCE }, () => pool.query('SELECT 1')))
  const batches = batchesOf(n)
  let handled = 0
  const update = async (index: number) => {
    const ids = batches[index] as number[]
    await pool.query('UPDATE orders SET status = $2, "updatedAt" = now() WHERE id = ANY($1) AND status = $3 RETURNING id', [
      ids,
      CONFIRMED,
      SHIPPED,
    ])
    handled += ids.length
  }
  const done = sleep(Math.max(0, dueAt - Date.now())).then(() => keepInFlight(batches.length, BATCHES_AT_ONCE, update))
  return {
    handled: () => handled,
    close: async () => {
      await done
      await pool.end()
    },
  }
}

function batchesOf(n: number): number[][] {
  const sizes = Array.from({ length: Math.ceil(n / BATCH) }, (_, batch) => Math.min(BATCH, n - batch * BATCH))
  return sizes.map((size, batch) => Array.from({ length: size }, (_, i) => batch * BATCH + 1 + i))
}
