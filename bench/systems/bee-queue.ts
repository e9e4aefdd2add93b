// Bee-Queue: a delayed job for each timer. Events and stored jobs off where nobody needs them and finished jobs removed,
// as its documentation recommends for speed and memory; delayedDebounce, by which a job may come late, at 1 ms instead of 1,000.
import BeeQueue from 'bee-queue'
import { confirm, openOrders } from '../order.js'
import { CONCURRENCY, inPortions, type System } from './system.js'

const NAME = 'confirm'
const DEBOUNCE_MS = 1

export const beeQueue: System = {
  async produce({ redisUrl }) {
    const queue = new BeeQueue<{ id: number }>(NAME, {
      redis: redisUrl as never,
      isWorker: false,
      getEvents: false,
      sendEvents: false,
      storeJobs: false,
    })
    await queue.ready()
    return {
      schedule: (id, dueAt) => queue.createJob({ id }).delayUntil(dueAt).save(),
      load: (firstId, count, dueAt) =>
        inPortions(count, 2_000, async (first, size) => {
          const jobs = Array.from({ length: size }, (_, i) => queue.createJob({ id: firstId + first + i }).delayUntil(dueAt(first + i)))
          const failed = await queue.saveAll(jobs)
          if (failed.size > 0) throw [...failed.values()][0]
        }),
      close: () => queue.close(),
    }
  },

  async work({ redisUrl, databaseUrl }) {
    const sequelize = openOrders(databaseUrl)
    let handled = 0
    const queue = new BeeQueue<{ id: number }>(NAME, {
      redis: redisUrl as never,
      getEvents: false,
      sendEvents: false,
      storeJobs: false,
      activateDelayedJobs: true,
      delayedDebounce: DEBOUNCE_MS,
      removeOnSuccess: true,
      removeOnFailure: true,
    })
    queue.on('error', (error) => console.error(error))
    await queue.ready()
    queue.process(CONCURRENCY, async (job: { data: { id: number } }) => {
      handled += 1
      await confirm(job.data.id)
    })
    return {
      handled: () => handled,
      close: async () => {
        await queue.close(5_000)
        await sequelize.close()
      },
    }
  },
}
