// pg-boss: a job with startAfter for each timer. Polled as often as it allows, jobs fetched in large batches without regard to
// priority, and each batch's jobs worked at concurrently, as its author answers those who ask for speed. The batch is the size
// that was the fastest of those tried, alone or with several workers.
import PgBoss from 'pg-boss'
import { confirm, openOrders } from '../order.js'
import { inPortions, type System } from './system.js'

const QUEUE = 'confirm'
const BATCH = 5_000

export const pgBoss: System = {
  async produce({ databaseUrl }) {
    const boss = new PgBoss({ connectionString: databaseUrl, max: 20, supervise: false, schedule: false })
    boss.on('error', (error) => console.error(error))
    await boss.start()
    await boss.createQueue(QUEUE)
    return {
      schedule: (id, dueAt) => boss.send(QUEUE, { id }, { startAfter: new Date(dueAt) }),
      load: (firstId, count, dueAt) =>
        inPortions(count, 5_000, (first, size) =>
          boss.insert(
            Array.from({ length: size }, (_, i) => ({
              name: QUEUE,
              data: { id: firstId + first + i },
              startAfter: new Date(dueAt(first + i)),
            })) as unknown as PgBoss.JobInsert[],
          ),
        ),
      close: () => boss.stop({ graceful: false, close: true }),
    }
  },

  async work({ databaseUrl }) {
    const sequelize = openOrders(databaseUrl)
    let handled = 0
    const boss = new PgBoss({ connectionString: databaseUrl, max: 20, schedule: false })
    boss.on('error', (error) => console.error(error))
    await boss.start()
    await boss.createQueue(QUEUE)
    await boss.work<{ id: number }>(QUEUE, { batchSize: BATCH, pollingIntervalSeconds: 0.5, priority: false }, async (jobs) => {
      handled += jobs.length
      await Promise.all(jobs.map((job) => confirm(job.data.id)))
    })
    return {
      handled: () => handled,
      close: async () => {
        await boss.stop({ graceful: false, close: true })
        await sequelize.close()
      },
    }
  },
}
