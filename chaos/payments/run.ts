// `npm run chaos -- --shop payments`: a shop whose customers pay around the deadline, a payment service whose webhooks come late, twice or never and
// which is slow and down for a while, workers that are killed, and a Redis that is emptied. At the end the money is judged.

import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { orderTimers } from '../../lib/index.js'
import { HISTORY_TABLE, History, VERIFIED_COLUMN } from '../../lib/rows/history.js'
import { UNVERIFIED_TABLE, Unverified } from '../../lib/rows/unverified.js'
import { ChildProgram } from '../../test/support/child-program.js'
import { connectByHand, sequelizeOn } from '../../test/support/database.js'
import { PostgresServer } from '../../test/support/postgres-server.js'
import { RedisServer } from '../../test/support/redis-server.js'
import { bundlePrograms } from '../programs.js'
import { Random } from '../random.js'
import { type JudgedOrder, judgePayments, type PaymentVerdict } from './judge.js'
import { PaymentService, type Session } from './service.js'
import { type Asking, BATCH, CONCURRENCY, definePlacedOrder, paymentRules } from './tables.js'
import type { PaymentWorkerConfig } from './worker-main.js'

export interface PaymentsOptions {
  seconds: number
  workers: number
  ordersPerSecond: number
  seed: number
  asking: Asking
  say(text: string): void
}

export interface PaymentsResult extends PaymentVerdict {
  seed: number
  asking: Asking
  kills: number
  /** Calls of `schedule` that failed, and were repeated. */
  refusedCalls: number
  webhooks: PaymentService['counts']
}

const SCHEMA = 'payments'
const PREFIX = 'payments:'
const DUE_MS = 3_000
const KILL_EVERY_MS = 4_000
const QUIET_WITHIN_MS = 120_000

/** How long before the service is asked a worker may have looked at the order. */
const LOOKED_MS = 1_000

const SQL = [
  `CREATE SCHEMA ${SCHEMA}`,
  `SET search_path = ${SCHEMA}`,
  `CREATE TABLE orders (id serial PRIMARY KEY, status text NOT NULL DEFAULT 'placed', "dueAt" timestamptz, sessions integer NOT NULL DEFAULT 0)`,
  'CREATE INDEX ON orders ("dueAt")',
  `CREATE TABLE writes (order_id integer NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  `CREATE FUNCTION note_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.status <> 'cancelled' THEN INSERT INTO ${SCHEMA}.writes (order_id) VALUES (NEW.id); END IF; RETURN NULL; END $$`,
  'CREATE TRIGGER note_write AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note_write()',
  ...History.createSql(HISTORY_TABLE),
  `ALTER TABLE ${HISTORY_TABLE} ADD COLUMN ${VERIFIED_COLUMN} jsonb`,
  ...Unverified.createSql(UNVERIFIED_TABLE),
]

export async function runPayments({ seconds, workers, ordersPerSecond, seed, asking, say }: PaymentsOptions): Promise<PaymentsResult> {
  const random = new Random(seed)
  const [redis, postgres, programs] = await Promise.all([
    RedisServer.start(),
    PostgresServer.start(),
    bundlePrograms({ worker: new URL('./worker-main.ts', import.meta.url) }),
  ])
  const client = await connectByHand(postgres.url, SCHEMA)
  for (const sql of SQL) await client.query(sql)
  const sequelize = sequelizeOn(postgres.url, SCHEMA, { pool: { max: 10 } })
  const Order = definePlacedOrder(sequelize)
  const timers = orderTimers({ logger: false, redis: redis.url, prefix: PREFIX, rules: paymentRules(Order, () => []) })
  const service = await PaymentService.start(random.branch(), { latestMs: 4_000, lost: 0.01, doubled: 0.05 }, takePayment)
  const config: PaymentWorkerConfig = {
    databaseUrl: postgres.url,
    schema: SCHEMA,
    redisUrl: redis.url,
    prefix: PREFIX,
    serviceUrl: service.url,
    asking,
  }
  const started = await Promise.all(Array.from({ length: workers }, () => ChildProgram.start(programs.files.worker as URL, config)))
  const customers = new Set<Promise<unknown>>()
  let kills = 0
  let refusedCalls = 0
  const acknowledged = new Set<string>()
  const endsAt = performance.now() + seconds * 1000

  /** The webhook: the payment takes the order, or is refunded. A second one for the same payment finds its order paid by it. */
  async function takePayment({ id, orderId }: Session): Promise<void> {
    const [won] = await Order.update({ status: 'paid' }, { where: { id: Number(orderId), status: 'placed' } })
    const taken = won === 1 ? id : paidBy.get(orderId)
    if (won === 1) paidBy.set(orderId, id)
    if (taken !== id) service.refund(id)
  }
  const paidBy = new Map<string, string>()

  /** The session first, then the row, and only then the customer: so no session is handed out of which `ask` could not know. */
  async function beginSession(id: number): Promise<Session | undefined> {
    const session = service.open(String(id))
    const [written] = await Order.increment('sessions', { where: { id, status: 'placed' } }).then(([[, count]]) => [count ?? 0])
    if (Number(written) === 1) return session
    service.expire(session)
    return undefined
  }

  /** While the worker waits for its answer, which is true of the sessions that it closed, another one is begun and paid. */
  service.asides = 0.2
  service.deleted = 0.005
  service.onAsked = async (orderId) => {
    const session = performance.now() < endsAt ? await beginSession(Number(orderId)) : undefined
    if (!session) return
    const paying: Promise<unknown> = delay(300)
      .then(() => service.pay(session))
      .finally(() => customers.delete(paying))
    customers.add(paying)
  }

  async function customer(choices: Random): Promise<void> {
    const order = await Order.create({})
    await scheduled(order.id)
    const first = await beginSession(order.id)
    if (first && choices.chance(0.1)) return // never pays
    await delay(DUE_MS * (choices.chance(0.5) ? choices.next() : 0.97 + choices.next() * 0.1))
    const session = choices.chance(0.3) ? await beginSession(order.id) : first
    if (choices.chance(0.5)) await delay(choices.next() * 50)
    if (session) service.pay(session)
  }

  /** As a shop would: a call that failed is repeated. On a busy machine it may go beyond its limits. */
  async function scheduled(id: number): Promise<void> {
    for (;;) {
      try {
        await timers.schedule('order_pay', id, { after: DUE_MS })
        acknowledged.add(String(id))
        return
      } catch {
        refusedCalls += 1
        if (performance.now() > endsAt) throw new Error('the run has ended')
        await delay(200)
      }
    }
  }

  async function killWorkers(): Promise<void> {
    while (performance.now() < endsAt) {
      await delay(KILL_EVERY_MS)
      const at = random.between(0, started.length - 1)
      await started[at]?.kill()
      kills += 1
      started[at] = await ChildProgram.start(programs.files.worker as URL, config, { readyWithin: 60_000 })
    }
  }

  async function troubleService(): Promise<void> {
    const nap = (share: number) => delay(seconds * 1000 * share)
    await nap(0.2)
    service.slowMs = 400
    await nap(0.2)
    service.slowMs = 0
    service.down = true
    await nap(0.1)
    service.down = false
    await nap(0.1)
    const admin = new Redis(redis.url)
    await admin.flushall().finally(() => admin.disconnect())
  }

  try {
    const troubles = Promise.all([killWorkers(), troubleService()])
    while (performance.now() < endsAt) {
      const visit: Promise<unknown> = customer(random.branch())
        .catch(() => {})
        .finally(() => customers.delete(visit))
      customers.add(visit)
      await delay(1000 / ordersPerSecond)
    }
    await troubles
    await Promise.all(customers)
    await service.quiet()
    say('all is healed; waiting until every order is settled or known to be paid')
    await quiet()
    const { rows } = await client.query(
      `SELECT o.id::text AS id, o.status, o."dueAt" IS NOT NULL AS "hasDeadline", array_agg(extract(epoch FROM w.at)::float8 * 1000) FILTER (WHERE w.at IS NOT NULL) AS written
FROM orders o LEFT JOIN writes w ON w.order_id = o.id GROUP BY o.id`,
    )
    const orders = rows.map(({ id, status, hasDeadline, written }): JudgedOrder => {
      const askedAt = service.enquiries.get(id)?.firstAt ?? Number.POSITIVE_INFINITY
      const writes = ((written ?? []) as number[]).filter((at) => at > askedAt - LOOKED_MS).length
      return {
        id,
        status,
        isScheduled: hasDeadline || acknowledged.has(id),
        writes,
        sessions: service.ofOrder.get(id) ?? [],
        enquiries: service.enquiries.get(id),
        gone: service.gone.has(id),
      }
    })
    const spared = (kills + workers) * BATCH * CONCURRENCY
    return { ...judgePayments(orders, asking, spared), seed, asking, kills, refusedCalls, webhooks: service.counts }
  } finally {
    await Promise.allSettled(started.map((one) => one.kill()))
    await timers.close()
    await sequelize.close()
    await client.end()
    await service.stop()
    await Promise.all([redis.stop(), postgres.stop()])
    programs.remove()
  }

  /** Those that wait are asked about now, so that the run need not wait for it. */
  async function quiet(): Promise<void> {
    const until = performance.now() + QUIET_WITHIN_MS
    for (;;) {
      const { rows } = await client.query("SELECT id::text AS id FROM orders WHERE status = 'placed'")
      const unpaid = rows.filter(
        ({ id }) => acknowledged.has(id) && !service.gone.has(id) && !(service.ofOrder.get(id) ?? []).some(({ state }) => state === 'paid'),
      )
      if (unpaid.length === 0 || performance.now() > until) return
      await delay(500)
    }
  }
}
