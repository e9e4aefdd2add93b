// An incident as it is staged: a shop with a worker, a web process of its own that only looks, and what their logs, `status`, `/ready` and the metrics
// say of it.

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import express from 'express'
import request from 'supertest'
import { type Status, status } from '../../lib/admin/status.js'
import { orderTimersAdmin } from '../../lib/admin-page/index.js'
import { type OrderTimersHealth, orderTimersHealth } from '../../lib/health.js'
import { type TransitionOptions, transition } from '../../lib/index.js'
import { BRAKE_TABLE, Brake } from '../../lib/rows/brake.js'
import { HISTORY_TABLE, History, VERIFIED_COLUMN } from '../../lib/rows/history.js'
import { PROCESSES_TABLE, ProcessesTable } from '../../lib/rows/processes-table.js'
import { UNVERIFIED_TABLE, Unverified } from '../../lib/rows/unverified.js'
import type { Database } from '../support/database.js'
import { Lines } from '../support/lines.js'
import type { OrderRow } from '../support/order.js'
import type { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers, openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'
import type { Scrapes } from './alerting.js'
import { type Expected, Exposition, freshly, linesOf, missing, readyLines, rowOf, type Series, type Told, untrue } from './told.js'

export type More = Partial<Pick<TransitionOptions<OrderRow>, 'run' | 'attempts' | 'brake' | 'history' | 'verify'>>

/** What an incident may take until all say it: ten seconds, and what two looks take on this machine. */
const WITHIN_MS = 10_000

/** Between two scrapes. */
const BETWEEN_MS = 4_000

const VERIFIED_SQL = `ALTER TABLE ${HISTORY_TABLE} ADD COLUMN IF NOT EXISTS ${VERIFIED_COLUMN} jsonb`

export const confirming =
  (more: More = {}) =>
  ({ Order }: Pick<Database, 'Order'>) => ({
    order_confirm: transition(Order, { ...{ from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }, ...more }),
  })

export interface StageOptions {
  /** The incident's name, for the alerts. */
  name?: string
  more?: More
  redis?: RedisServer
  databaseUrl?: string
  /** The db that the web process uses. Default: the worker's. */
  webDb?: number
  /** How far Postgres's clock is ahead. */
  postgresAheadMs?: number
}

/** What was scraped of all incidents, for the alerts. */
export const scraped: Scrapes[] = []

export async function stage({ name = '', more = {}, redis, databaseUrl, webDb, postgresAheadMs = 0 }: StageOptions = {}) {
  const log = new Lines()
  const ownOrder = (database: Database) =>
    postgresAheadMs === 0
      ? database.connectSequelize()
      : database.connectSequelize({ dialectOptions: { options: `-c search_path=${database.schema},pg_catalog` } })
  const shop = await openShop((database) => confirming(more)(ownOrder(database)), {
    ...{ logger: log },
    ...(redis && { redisUrl: redis.url }),
    database: { pool: { max: 4 }, ...(databaseUrl !== undefined && { url: databaseUrl }) },
  })
  if (postgresAheadMs !== 0) await moveClock(shop.database, postgresAheadMs)
  const tables = [ProcessesTable.createSql(PROCESSES_TABLE), Brake.createSql(BRAKE_TABLE)]
  if (more.verify) tables.push(History.createSql(HISTORY_TABLE), [VERIFIED_SQL], Unverified.createSql(UNVERIFIED_TABLE))
  for (const sql of tables.flat()) await shop.database.client.query(sql)
  const webLog = new Lines()
  const web = makeTimers(confirming(more)(ownOrder(shop.database)), {
    ...{ redis: webDb === undefined ? shop.redis.url : `${redis?.url}/${webDb}`, prefix: shop.redis.prefix },
    logger: webLog,
  })
  const app = express().use(web)
  app.use('/admin', orderTimersAdmin(web, { authorize: () => ({ user: 'operator', can: 'read' }) }))
  const ofWorker = new Exposition(shop.timers, 'worker')
  const health = { web: orderTimersHealth(web), worker: orderTimersHealth(shop.timers) }
  const hasWorker = () => runtimeOf(shop.timers).running.size > 0
  let lookMs = 0

  const look = async () => {
    const startedAt = performance.now()
    const found = await status(runtimeOf(web), { confirmMs: 2_200 })
    lookMs = Math.max(lookMs, performance.now() - startedAt)
    return found
  }
  const scrapeAll = async (within?: number): Promise<Series> => {
    const all = await Promise.all([freshly(web, 'web', within), ...(hasWorker() ? [ofWorker.read()] : [])])
    return new Map(all.flatMap((series) => [...series]))
  }
  const tell = async (): Promise<Told> => {
    const ready = (one: OrderTimersHealth) => readyLines(one)
    const [found, ofWeb, ofWorker, series] = await Promise.all([
      look(),
      ready(health.web),
      hasWorker() ? ready(health.worker) : undefined,
      scrapeAll(),
    ])
    return {
      ...{ status: found, series },
      ready: { web: ofWeb.lines, worker: ofWorker?.lines },
      isFailing: ofWeb.isFailing || ofWorker?.isFailing === true,
    }
  }
  /** Lines in which the page and `status` differ. */
  const apart = async (): Promise<string[]> => {
    const [found, { body }] = await Promise.all([look(), request(app).get('/admin/data/now')])
    const [said, shown] = [linesOf(found), linesOf(body.data)]
    return [
      ...said.filter((line) => !shown.includes(line)).map((line) => `only status: ${line}`),
      ...shown.filter((line) => !said.includes(line)).map((line) => `only the page: ${line}`),
    ]
  }
  return {
    shop,
    ...{ log, web, webLog, health, look },
    due: (agoMs: number, values: object = {}) => shop.order({ status: 4, confirmDueAt: new Date(Date.now() - agoMs), ...values }),
    /** The worker is there, all is well, and `/ready` says so too. */
    async calm(): Promise<void> {
      const isWell = async () => (await look()).headline.startsWith('✔ ALL IS WELL: 1 worker')
      const isReady = async () =>
        (await health.web.ready()).status === 'ok' && (!hasWorker() || (await health.worker.ready()).status === 'ok')
      await waitUntil(async () => (await isReady()) && (await isWell()), { within: 60_000, every: 1_000 }).catch(async (error) => {
        throw new Error(`not calm: ${(await look()).headline}; ${JSON.stringify(await readyLines(health.web))}`, { cause: error })
      })
    },
    /** Waits until all say what is expected, and holds them to saying no more than this and what may follow from it. */
    async tells(expected: Expected): Promise<Status> {
      const since = performance.now()
      let told: Told | undefined
      const isTold = async () => {
        told = await tell()
        return missing(expected, told).length === 0
      }
      await waitUntil(isTold, { within: 3 * WITHIN_MS, every: 500 }).catch((error) => {
        const lacking = told ? missing(expected, told) : []
        throw new Error(`was not told: ${lacking.join('; ')}; but: ${told?.status.headline}; ${JSON.stringify(told?.ready)}`, {
          cause: error,
        })
      })
      const tookMs = performance.now() - since
      assert.ok(told)
      assert.deepEqual(untrue(expected, told), [], told.status.headline)
      assert.ok(tookMs < WITHIN_MS + 2 * lookMs + 3_000, `told after ${tookMs} ms, where a look takes ${lookMs} ms`)
      let apartIn: string[] = []
      const isTogether = async () => {
        apartIn = await apart()
        return apartIn.length === 0
      }
      await waitUntil(isTogether, { within: 2 * WITHIN_MS, every: 1_000 }).catch((error) => {
        throw new Error(apartIn.join('; '), { cause: error })
      })
      const { alerts, alertsMay = [] } = expected
      const within = alerts.includes('OrderTimersNotCounted') ? undefined : 15_000
      const [first, firstAt] = [await scrapeAll(within), performance.now()]
      await delay(BETWEEN_MS)
      const second = await scrapeAll(within)
      const betweenS = (performance.now() - firstAt) / 1_000
      scraped.push({ ...{ name, first, second, betweenS, alerts, alertsMay }, atS: Date.now() / 1_000, row: rowOf(name, expected) })
      return told.status
    },
    logged: (code: string) => waitUntil(() => log.all.some(({ fields }) => fields.code === code), { what: `the log line ${code}` }),
    close: async () => {
      ofWorker.end()
      await web.close()
      await shop.close()
    },
  }
}

export type Stage = Awaited<ReturnType<typeof stage>>

/** For statements whose search_path names the schema first and pg_catalog second. */
async function moveClock({ client, schema }: Database, byMs: number): Promise<void> {
  for (const name of ['now', 'clock_timestamp', 'statement_timestamp', 'transaction_timestamp'])
    await client.query(
      `CREATE FUNCTION ${schema}.${name}() RETURNS timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.${name}() + interval '${byMs} ms' $$`,
    )
}
