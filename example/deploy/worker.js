// The worker as a process of its own, with /live and /ready for probes on HEALTH_PORT. It lies beside the shop's models.js and timers.js.

import { createServer } from 'node:http'
import { startExpiryWorker } from 'express-order-timers'
import { orderTimersHealth } from 'express-order-timers/health'
import { sequelize } from './models.js'
import { timers } from './timers.js'

const worker = startExpiryWorker(timers)
const probes = createServer(orderTimersHealth(worker)).listen(Number(process.env.HEALTH_PORT ?? 9464))

for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR2']) {
  process.once(signal, async () => {
    setTimeout(() => process.exit(1), 14_000).unref()
    await worker.stop()
    await timers.close()
    await sequelize.close()
    probes.close()
    process.exit()
  })
}
