// The old recipe, for real, on twins of the shop's orders: SETEX when an order is placed or shipped, and whoever subscribes to expired keys does
// what is to be done. Nothing checks whether it has been done, and nobody looks for what was missed. It has a connection and a table of its own.

import { Redis } from 'ioredis'
import { QueryTypes } from 'sequelize'
import { config, millisecondsOf } from '../config.js'
import { PLACED, SHIPPED, sequelize } from '../models.js'

const TABLE = `"${config.schema}".old_recipe`
const ORDERS = `"${config.schema}".shop_orders`
const PREFIX = `${config.prefix}old:`

export interface OldFigures {
  pending: number
  done: number
  overdue: number
  /** Milliseconds from the deadline, also of those that still wait for their event. */
  latest: number
  twice: number
}

export class OldRecipe {
  /** Its own table; `times` counts how often an order was worked on. */
  static readonly table = `DROP TABLE IF EXISTS ${TABLE};
    CREATE TABLE ${TABLE} (key text PRIMARY KEY, due_at timestamptz NOT NULL, done_at timestamptz, times int NOT NULL DEFAULT 0)`

  private listeners: Redis[] = []
  private client: Redis | undefined
  private timer: NodeJS.Timeout | undefined
  /** One switch after the other: two at once would leave listeners behind. */
  private turn: Promise<void> = Promise.resolve()

  get listening(): number {
    return this.listeners.length
  }

  /** @param count how many processes subscribe: a shop with two web processes has two */
  listen(count: number): Promise<void> {
    const next = this.turn.then(() => this.subscribe(count))
    this.turn = next.catch(() => {})
    return next
  }

  private async subscribe(count: number): Promise<void> {
    this.silence()
    await sequelize.query(`DELETE FROM ${TABLE}`)
    this.client ??= new Redis(config.redisUrl)
    if (count > 0) this.timer = setInterval(() => void this.arm().catch(console.error), 500)
    for (let index = 0; index < count; index += 1) {
      const listener = new Redis(config.redisUrl, { connectionName: 'old-recipe' })
      listener.on('error', () => {})
      listener.on('message', (_channel, key: string) => {
        if (key.startsWith(PREFIX)) void work(key.slice(PREFIX.length)).catch(() => {})
      })
      await listener.subscribe(`__keyevent@${this.client.options.db ?? 0}__:expired`)
      this.listeners.push(listener)
    }
  }

  /** The twins of orders that have been placed or shipped since the last look. */
  private async arm(): Promise<void> {
    const twins = await sequelize.query<{ key: string; seconds: number }>(
      `WITH due AS (
         SELECT 'order_pay:' || id AS key, "createdAt" + $1 * interval '1 millisecond' - now() AS after FROM ${ORDERS} WHERE status = ${PLACED}
         UNION ALL SELECT 'order_confirm:' || id, "confirmDueAt" - now() FROM ${ORDERS} WHERE status = ${SHIPPED} AND "confirmDueAt" IS NOT NULL)
       INSERT INTO ${TABLE} (key, due_at)
       SELECT key, now() + ceil(extract(epoch FROM after)) * interval '1 second' FROM due WHERE after > interval '0'
       ON CONFLICT DO NOTHING RETURNING key, extract(epoch FROM due_at - now())::int AS seconds`,
      { bind: [millisecondsOf(config.payAfter)], type: QueryTypes.SELECT },
    )
    if (twins.length === 0) return
    const pipeline = this.client?.pipeline()
    for (const { key, seconds } of twins) pipeline?.setex(PREFIX + key, seconds, '1')
    await pipeline?.exec()
  }

  /** `overdue`: due for 5 s, and no event has come. After a flush or a cut none ever will. */
  async figures(): Promise<OldFigures> {
    const [figures] = await sequelize.query<OldFigures>(
      `SELECT count(*) FILTER (WHERE times = 0)::int AS pending, count(*) FILTER (WHERE times > 0)::int AS done,
         count(*) FILTER (WHERE times = 0 AND due_at < now() - interval '5 seconds')::int AS overdue,
         count(*) FILTER (WHERE times > 1)::int AS twice,
         coalesce(max(extract(epoch FROM coalesce(done_at, now()) - due_at)) FILTER (WHERE due_at < now()) * 1000, 0)::float8 AS latest FROM ${TABLE}`,
      { type: QueryTypes.SELECT },
    )
    return figures as OldFigures
  }

  private silence(): void {
    clearInterval(this.timer)
    for (const listener of this.listeners.splice(0)) listener.disconnect()
  }

  async close(): Promise<void> {
    this.silence()
    this.client?.disconnect()
  }
}

/** As such subscribers are written: by the key's name alone. */
async function work(name: string): Promise<void> {
  await sequelize.query(`UPDATE ${TABLE} SET times = times + 1, done_at = coalesce(done_at, clock_timestamp()) WHERE key = $1`, {
    bind: [name],
  })
}
