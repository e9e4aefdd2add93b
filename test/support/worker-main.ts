// The program of worker-process.ts: a worker in a process of its own, over the tables of a test's schema, with the rules of a module that
// the configuration names. It ends by itself once it was told to stop.

import { type OrderTimers, orderTimers, startExpiryWorker } from '../../lib/index.js'
import { onTold, ownConfig, tell } from './child-program.js'
import { sequelizeOn } from './database.js'
import { defineOrder } from './order.js'
import { shiftClock } from './shifted-clock.js'
import type { RulesModule, WorkerConfig, WorkerReport } from './worker-process.js'

const config = ownConfig<WorkerConfig>()
if (config.clockMs) shiftClock(config.clockMs)

const sequelize = sequelizeOn(config.databaseUrl, config.schema, {
  pool: { max: 5, ...config.pool },
  dialectOptions: { application_name: config.name },
})
const { makeRules } = (await import(config.rules)) as RulesModule
const timers: OrderTimers = orderTimers({
  logger: false,
  redis: config.redisUrl,
  prefix: config.prefix,
  rules: makeRules(defineOrder(sequelize), sequelize),
})
const worker = startExpiryWorker(timers, { fallback: config.fallback, ...(config.leaseMs && { lease: config.leaseMs }) })

const faults: string[] = []
worker.on('fault', ({ code, message }) => faults.push(`${code}: ${message}`))
onTold('report', () => {
  const kinds = Object.values(worker.health().kinds)
  const sum = (name: 'failed' | 'dead') => kinds.reduce((total, counters) => total + counters[name], 0)
  tell({ report: { failed: sum('failed'), dead: sum('dead'), faults } satisfies WorkerReport })
})
onTold('clock', shiftClock)
onTold('stop', async () => {
  await worker.stop()
  await timers.close()
  await sequelize.close()
  process.disconnect()
})
process.on('disconnect', () => setTimeout(() => process.exit(1), 10_000).unref())

await worker.ready
tell({ ready: true })
