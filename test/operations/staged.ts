// An incident as it is staged: a shop with a worker, a web process of its own that only looks, what their logs say, and what `status` says of it.

import assert from 'node:assert/strict'
import { type Status, status } from '../../lib/admin/status.js'
import { type TransitionOptions, transition } from '../../lib/index.js'
import { BRAKE_TABLE, Brake } from '../../lib/rows/brake.js'
import { PROCESSES_TABLE, ProcessesTable } from '../../lib/rows/processes-table.js'
import type { Database } from '../support/database.js'
import { Lines } from '../support/lines.js'
import type { OrderRow } from '../support/order.js'
import type { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers, openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

export type More = Partial<Pick<TransitionOptions<OrderRow>, 'run' | 'attempts' | 'brake'>>

/** What an incident may take until `status` says it: ten seconds, and two for the last look on a busy machine. */
const WITHIN_MS = 12_000

export const confirming =
  (more: More = {}) =>
  ({ Order }: Pick<Database, 'Order'>) => ({
    order_confirm: transition(Order, { ...{ from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }, ...more }),
  })

export interface StageOptions {
  more?: More
  redis?: RedisServer
  databaseUrl?: string
  /** Default: the worker's. */
  lookerRedis?: string
}

export async function stage({ more = {}, redis, databaseUrl, lookerRedis }: StageOptions = {}) {
  const log = new Lines()
  const shop = await openShop(confirming(more), {
    ...{ logger: log },
    ...(redis && { redisUrl: redis.url }),
    database: { pool: { max: 4 }, ...(databaseUrl !== undefined && { url: databaseUrl }) },
  })
  for (const sql of [...ProcessesTable.createSql(PROCESSES_TABLE), ...Brake.createSql(BRAKE_TABLE)]) await shop.database.client.query(sql)
  const web = makeTimers(confirming(more)(shop.database.connectSequelize()), {
    ...{ redis: lookerRedis ?? shop.redis.url, prefix: shop.redis.prefix },
    logger: false,
  })
  const look = () => status(runtimeOf(web), { confirmMs: 2_200 })
  const codesOf = ({ troubles }: Status) => troubles.map(({ level, code }) => `${level === 'failing' ? '✘' : '!'} ${code}`)
  return {
    shop,
    log,
    web,
    look,
    due: (agoMs: number, values: object = {}) => shop.order({ status: 4, confirmDueAt: new Date(Date.now() - agoMs), ...values }),
    /** The worker is there, and all is well. */
    async calm(): Promise<void> {
      await waitUntil(async () => (await look()).headline.startsWith('✔ ALL IS WELL: 1 worker'), { within: 45_000, every: 1_000 })
    },
    /**
     * Waits until `status` says this, and no more than this besides what may follow from it.
     * @param mark as in the text: `✘ NO_WORKER`
     */
    async says(mark: string, message: RegExp, besides: string[] = []): Promise<Status> {
      const since = performance.now()
      let last: Status | undefined
      const found = await waitUntil(
        async () => {
          last = await look()
          return codesOf(last).includes(mark) ? last : undefined
        },
        { within: WITHIN_MS + 5_000, every: 500, what: mark },
      ).catch((error) => {
        throw new Error(
          `${mark} was not said, but: ${last?.headline}; ${last?.troubles.map(({ code, message }) => `${code}: ${message}`).join('; ')}`,
          { cause: error },
        )
      })
      const tookMs = performance.now() - since
      const [symbol, code] = mark.split(' ')
      const trouble = found.troubles.find((one) => one.code === code)
      assert.match(trouble?.message ?? '', message)
      assert.deepEqual(
        codesOf(found).filter((one) => one !== mark && !besides.includes(one)),
        [],
        found.headline,
      )
      assert.equal(found.ok, symbol === '!' && !codesOf(found).some((one) => one.startsWith('✘')))
      assert.ok(tookMs < WITHIN_MS, `${mark} after ${tookMs} ms`)
      return found
    },
    logged: (code: string) => waitUntil(() => log.all.some(({ fields }) => fields.code === code), { what: `the log line ${code}` }),
    close: async () => {
      await web.close()
      await shop.close()
    },
  }
}

export type Stage = Awaited<ReturnType<typeof stage>>
