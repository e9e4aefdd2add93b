// npm run demo -- --once: the main job, unattended. Seven orders' stories on a real Redis and a real Postgres; a table of what came of
// them; and an exit status that says whether all of it held.

import { randomBytes } from 'node:crypto'
import type { ExpiryWorker } from 'express-order-timers'
import { Redis } from 'ioredis'
import { type Config, readConfig } from '../config.js'
import { Customer } from './customer.js'
import { dropSchema } from './drop-schema.js'
import { connectDatabase, createTables } from './models.js'
import * as scenes from './scenes.js'
import { type Shop, shopOn } from './shop.js'
import { StatusChanges } from './status-changes.js'
import { formatTable } from './table.js'

const sweepEveryFourSeconds = '*/4 * * * * *'
/** The job empties Redis itself, so that it is told of that is no news. */
const isOwnDoing = (fields: unknown) => (fields as { code?: string } | undefined)?.code === 'REDIS_LOST_DATA'
const quiet = {
  debug() {},
  info() {},
  warn: (message: string, fields?: unknown) => isOwnDoing(fields) || console.error(message, fields),
  error: console.error,
}

/** Where a process finds its servers, and as whom. */
export interface Servers {
  databaseUrl: string
  redisUrl: string
}

export interface MainJobOptions {
  /** As whom the web process and the worker come. Default: as the environment says, which is also who creates and removes the tables. */
  web?: Servers
  worker?: Servers
  /** Called when the shop's tables are there. */
  prepare?(schema: string): Promise<void>
  say?(text: string): void
}

/** Resolves to the exit status. */
export async function runMainJob(
  env: NodeJS.ProcessEnv,
  { web, worker, prepare, say = console.info }: MainJobOptions = {},
): Promise<number> {
  const ownRedis = env.REDIS_IS_OURS === '1'
  const name = `order_timers_once_${randomBytes(4).toString('hex')}`
  const config: Config = {
    ...readConfig(env),
    schema: name,
    prefix: ownRedis ? '' : `${name}:`,
    payAfter: scenes.payAfterMs,
    confirmAfter: scenes.confirmAfterMs,
  }
  const owner = connectDatabase(config.databaseUrl, config.schema)
  await createTables(owner, config.schema)
  const changes = await StatusChanges.record(owner.sequelize, config.schema)
  await prepare?.(config.schema)
  const shopAs = (servers: Servers = config) =>
    shopOn(connectDatabase(servers.databaseUrl, config.schema), { ...config, ...servers }, quiet)
  const shop = shopAs(web)
  const workersShop = worker ? shopAs(worker) : shop
  const stranger = new Redis(config.redisUrl)
  const flush = () => (ownRedis ? stranger.flushall() : deleteKeys(stranger, config.prefix))
  try {
    say('Seven orders, each due within seconds; this takes about 15 s.\n')
    const results = await play(shop, { config, stranger, flush, changes, workersShop })
    return report(results, say)
  } finally {
    if (!ownRedis) await deleteKeys(stranger, config.prefix)
    stranger.disconnect()
    await Promise.all([...new Set([shop, workersShop])].map((one) => one.close()))
    await owner.sequelize.close()
    await dropSchema(config.databaseUrl, config.schema)
  }
}

interface Props {
  config: Config
  stranger: Redis
  changes: StatusChanges
  /** Where workers are started. */
  workersShop: Shop
  flush: () => Promise<unknown>
}

async function play(shop: Shop, { config, stranger, flush, changes, workersShop }: Props): Promise<PromiseSettledResult<scenes.Outcome>[]> {
  const customer = new Customer(await shop.listen(0))
  const ways = new Map<number, string>()
  const stage: scenes.Stage = { shop, customer, changes, stranger, prefix: config.prefix, ways, flush }
  const startWorker = (sweep?: string): ExpiryWorker => {
    const worker = workersShop.startWorker(sweep)
    worker.on('settled', ({ via, orders }) => {
      for (const { id } of orders) ways.set(Number(id), via)
    })
    return worker
  }

  let worker = startWorker()
  await worker.ready
  const together = [
    scenes.unpaidIsCancelled(stage),
    scenes.shippedIsConfirmed(stage),
    scenes.confirmedByHandStays(stage),
    scenes.extendedWaits(stage),
    scenes.strangersKeyCounts(stage),
  ]
  const results = await Promise.allSettled(together)
  await worker.stop()

  const start = () => {
    worker = startWorker(sweepEveryFourSeconds)
    return worker
  }
  results.push(...(await Promise.allSettled([scenes.worksOffWhatCameDue(stage, start)])))
  results.push(...(await Promise.allSettled([scenes.survivesFlush(stage, worker)])))
  await worker.stop()
  return results
}

function report(results: readonly PromiseSettledResult<scenes.Outcome>[], say: (text: string) => void): number {
  const outcomes = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []))
  const rows = outcomes.map(({ story, order, way, latenessMs }) => [String(order), story, way, `${latenessMs.toFixed(1)} ms`])
  say(formatTable([['order', 'what came of it', 'by', 'after its deadline'], ...rows], [0, 3]))
  if (failures.length === 0) {
    say('\nAll seven held. Measured from the deadline to the commit, by Postgres’s clock.')
    return 0
  }
  for (const failure of failures) console.error(`\nDID NOT HOLD: ${failure.message}`)
  return 1
}

async function deleteKeys(client: Redis, prefix: string): Promise<void> {
  for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1000 })) {
    if (keys.length > 0) await client.unlink(...(keys as string[]))
  }
}
