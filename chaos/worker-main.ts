// A worker of the chaos run: the rules with their own code, which writes down what it does, and fails some of it on purpose. It ends by itself once
// it was told to stop.

import { orderTimers, type SettledOrder, startExpiryWorker, type WorkerEvents } from '../lib/index.js'
import { onTold, ownConfig, tell } from '../test/support/child-program.js'
import { sequelizeOn } from '../test/support/database.js'
import { shiftClock } from '../test/support/shifted-clock.js'
import { trueNow } from './history.js'
import type { Deployment } from './host.js'
import { Journal } from './journal.js'
import { JournaledCode } from './own-code.js'
import type { RedisAddress } from './redis-address.js'
import { makeRules } from './rules.js'
import { defineTables } from './tables.js'

export interface WorkerConfig {
  databaseUrl: string
  /** A search_path. */
  schema: string
  redis: RedisAddress
  prefix: string
  /** `worker 1` …: its connections' application_name. */
  name: string
  /** Where the run's processes keep their journals. */
  directory: string
  fallback: string
  deployment?: Deployment
}

const config = ownConfig<WorkerConfig>()
const journal = new Journal(config.directory, config.name)
const sequelize = sequelizeOn(config.databaseUrl, config.schema, { pool: { max: 6 }, dialectOptions: { application_name: config.name } })
const rules = makeRules(defineTables(sequelize), sequelize, new JournaledCode(journal), config.deployment)
const timers = orderTimers({ logger: false, redis: config.redis as never, prefix: config.prefix, rules })
const worker = startExpiryWorker(timers, { fallback: config.fallback })

/** A brake that stops its rule is a fault to the worker; here it is an event of its own. */
const nameOf = (event: string, { code }: Record<string, unknown>) => (event === 'fault' && code === 'BRAKED' ? 'brake' : event)
const noteEvent = <E extends keyof WorkerEvents>(event: E, details: (payload: Record<string, unknown>) => Record<string, unknown>) =>
  (worker.on as (event: string, listener: (payload: Record<string, unknown>) => void) => void)(event, (payload) => {
    const kind = payload.kind as string | undefined
    journal.write({
      told: {
        event: nameOf(event, payload),
        by: config.name,
        at: trueNow(),
        ...(kind !== undefined && { kind }),
        details: details(payload),
      },
    })
  })
noteEvent('settled', ({ via, orders }) => ({ via, ids: (orders as { id: string }[]).map(({ id }) => id) }))
noteEvent('dryRun', ({ via, orders }) => ({
  via,
  pid: process.pid,
  orders: (orders as SettledOrder[]).map(({ id, deadline }) => ({ id, deadline })),
}))
noteEvent('failed', ({ id, error, attempts, retryInMs }) => ({ id, error: textOf(error), attempts, retryInMs }))
noteEvent('dead', ({ id, error, attempts }) => ({ id, error: textOf(error), attempts }))
noteEvent('stale', ({ count }) => ({ count }))
noteEvent('fault', ({ code, message, cause }) => ({ code, message, cause }))
noteEvent('recovered', ({ code }) => ({ code }))
noteEvent('restored', ({ kinds, armed }) => ({ kinds, armed }))

function textOf(error: unknown): string {
  return String((error as Error)?.message ?? error).slice(0, 200)
}

onTold('clock', shiftClock)
onTold('stop', async () => {
  await worker.stop()
  await timers.close()
  await sequelize.close()
  process.disconnect()
})
process.on('disconnect', () => setTimeout(() => process.exit(1), 10_000).unref())

/** Since the process began, and of that until everything was loaded. */
const sinceBegin = () => Math.round(process.uptime() * 1000)
const loadedMs = sinceBegin()
await worker.ready
journal.write({ told: { event: 'ready', by: config.name, at: trueNow(), details: { loadedMs, readyMs: sinceBegin() } } })
tell({ ready: true })
