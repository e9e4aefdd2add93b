// A process that moves all orders of a test's shop, or goes on with a run of it, and tells how far it is. It is there to be killed.

import { orderTimers } from '../../lib/index.js'
import { confirmRule } from './bulk-shop.js'
import { ownConfig, tell } from './child-program.js'
import { sequelizeOn } from './database.js'
import { defineOrder } from './order.js'

export interface BulkConfig {
  databaseUrl: string
  schema: string
  redisUrl: string
  prefix: string
  resume: boolean
}

const { databaseUrl, schema, redisUrl, prefix, resume } = ownConfig<BulkConfig>()
const sequelize = sequelizeOn(databaseUrl, schema)
const timers = orderTimers({ logger: false, redis: redisUrl, prefix, rules: confirmRule({ Order: defineOrder(sequelize) }) })
tell({ ready: true })
const onProgress = ({ moved }: { moved: number }) => tell({ moved })
const result = resume
  ? await timers.resumeRun('order_confirm', { onProgress })
  : await timers.extendAll('order_confirm', { all: true, by: '1h', onProgress })
tell({ ended: result.moved })
await timers.close()
await sequelize.close()
process.disconnect?.()
