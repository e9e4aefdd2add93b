// The worker as a process of its own: npm run demo -- --worker separate

import { startExpiryWorker } from 'express-order-timers'
import { sequelize } from './models.js'
import { timers } from './timers.js'
import { SWEEP } from './workers.js'

const worker = startExpiryWorker(timers, { fallback: SWEEP })
await worker.ready
process.send?.('ready')

const stop = async () => {
  await worker.stop()
  await timers.close()
  await sequelize.close()
  process.exit(0)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
process.once('disconnect', stop) // the shop is gone
