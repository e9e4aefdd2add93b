// graphile-worker: a job with run_at for each timer. The settings of its page on performance (local queue of 500, completions
// in batches, a connection more than jobs), and polled twenty times as often as by default, since jobs of the future wait for the poll.
import { Logger, makeWorkerUtils, run, type TaskList } from 'graphile-worker'
import pg from 'pg'
import { confirm, openOrders } from '../order.js'
import { inPortions, type System } from './system.js'

const TASK = 'confirm'
const CONCURRENT_JOBS = 24
const POLL_MS = 100
const silent = new Logger(() => () => {})

export const graphileWorker: System = {
  async produce({ databaseUrl }) {
    const pgPool = new pg.Pool({ connectionString: databaseUrl, max: 20 })
    pgPool.on('error', () => {})
    const utils = await makeWorkerUtils({ pgPool, logger: silent })
    await utils.migrate()
    return {
      schedule: (id, dueAt) => utils.addJob(TASK, { id }, { runAt: new Date(dueAt) }),
      load: (firstId, count, dueAt) =>
        inPortions(count, 5_000, (first, size) =>
          utils.addJobs(
            Array.from({ length: size }, (_, i) => ({
              identifier: TASK,
              payload: { id: firstId + first + i },
              runAt: new Date(dueAt(first + i)),
            })),
          ),
        ),
      close: async () => {
        await utils.release()
        await pgPool.end()
      },
    }
  },

  async work({ databaseUrl }) {
    const sequelize = openOrders(databaseUrl)
    let handled = 0
    const taskList: TaskList = {
      [TASK]: async (payload) => {
        handled += 1
        await confirm((payload as { id: number }).id)
      },
    }
    const runner = await run({
      taskList,
      logger: silent,
      noHandleSignals: true,
      preset: {
        worker: {
          connectionString: databaseUrl,
          concurrentJobs: CONCURRENT_JOBS,
          maxPoolSize: CONCURRENT_JOBS + 1,
          pollInterval: POLL_MS,
          localQueue: { size: 500 },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
        },
      },
    })
    return {
      handled: () => handled,
      close: async () => {
        await runner.stop()
        await sequelize.close()
      },
    }
  },
}
