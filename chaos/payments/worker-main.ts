// A worker of the payments shop, to be killed at any step.

import { orderTimers, startExpiryWorker } from '../../lib/index.js'
import { onTold, ownConfig, tell } from '../../test/support/child-program.js'
import { sequelizeOn } from '../../test/support/database.js'
import { type Asking, askService, definePlacedOrder, paymentRules } from './tables.js'

export interface PaymentWorkerConfig {
  databaseUrl: string
  schema: string
  redisUrl: string
  prefix: string
  serviceUrl: string
  asking: Asking
}

const { databaseUrl, schema, redisUrl, prefix, serviceUrl, asking } = ownConfig<PaymentWorkerConfig>()
const sequelize = sequelizeOn(databaseUrl, schema, { pool: { max: 6 } })
const rules = paymentRules(definePlacedOrder(sequelize), askService(serviceUrl, asking))
const timers = orderTimers({ logger: false, redis: redisUrl, prefix, rules })
const worker = startExpiryWorker(timers, { fallback: '*/2 * * * * *' })

onTold('stop', async () => {
  await worker.stop()
  await timers.close()
  await sequelize.close()
  process.disconnect()
})
process.on('disconnect', () => setTimeout(() => process.exit(1), 10_000).unref())
await worker.ready
tell({ ready: true })
