// BullMQ: a delayed job for each timer. Concurrency and removal of finished jobs as its documentation recommends;
// ioredis without auto-pipelining, which its maintainers advise against.
import { Queue, Worker } from 'bullmq'
import { confirm, openOrders } from '../order.js'
import { CONCURRENCY, inPortions, type System } from './system.js'

const NAME = 'confirm'
const JOB_OPTIONS = { removeOnComplete: true, removeOnFail: true }

export const bullmq: System = {
  async produce({ redisUrl }) {
    const queue = new Queue<{ id: number }>(NAME, { connection: connectionOf(redisUrl), defaultJobOptions: JOB_OPTIONS })
    await queue.waitUntilReady()
    return {
      schedule: (id, dueAt) => queue.add(NAME, { id }, { delay: dueAt - Date.now() }),
      load: (firstId, count, dueAt) =>
        inPortions(count, 2_000, (first, size) =>
          queue.addBulk(
            Array.from({ length: size }, (_, i) => ({
              name: NAME,
              data: { id: firstId + first + i },
              opts: { delay: Math.max(1, dueAt(first + i) - Date.now()) },
            })),
          ),
        ),
      close: () => queue.close(),
    }
  },

  async work({ redisUrl, databaseUrl }) {
    const sequelize = openOrders(databaseUrl)
    let handled = 0
    const handler = async (job: { data: { id: number } }) => {
      handled += 1
      await confirm(job.data.id)
    }
    const worker = new Worker<{ id: number }>(NAME, handler, { connection: connectionOf(redisUrl), concurrency: CONCURRENCY })
    worker.on('error', (error) => console.error(error))
    await worker.waitUntilReady()
    return {
      handled: () => handled,
      close: async () => {
        await worker.close()
        await sequelize.close()
      },
    }
  },
}

function connectionOf(redisUrl: string) {
  const { hostname, port } = new URL(redisUrl)
  return { host: hostname, port: Number(port) }
}
