// A worker whose shop gave no logger and whose Redis is not there. It ends by itself once the worker has told that, and something more.

import { orderTimers, startExpiryWorker } from '../../lib/index.js'

const [redis, logger] = process.argv.slice(2) as [string, string]
const timers = orderTimers({ redis, rules: { order_other: () => {} }, ...(logger === 'false' && { logger: false as const }) })
const worker = startExpiryWorker(timers, { fallback: false })
worker.on('fault', async () => {
  await worker.stop()
  await timers.close()
})
worker.on('stopped', () => {
  throw new Error('a listener that throws')
})
