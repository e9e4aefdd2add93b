// Whether Redis and Postgres answer this process, whether Redis accepts writes, and the difference between their clocks.

import { errorText } from '../error-text.js'
import { timeAt } from '../redis/clock.js'
import { serversOf } from '../redis/primaries.js'
import { replyRemedy } from '../redis/replies.js'
import { assertUsable, publishesExpiry, readSettings } from '../redis/server.js'
import type { ShopRule } from '../rules/rule.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { QUESTION } from '../sequelize/statement-limits.js'
import type { Runtime } from '../timers/runtime.js'
import { within } from '../wait.js'
import type { InTurn } from './processes.js'

const WAIT_MS = 5_000

export interface RedisStatus {
  used: boolean
  answering: boolean
  /** Its answer to a refused write, such as that its memory is full, with the remedy; undefined if it accepts writes. */
  refuses: string | undefined
  /** The flags of `notify-keyspace-events`; undefined if this user may not read them. */
  notifications: string | undefined
  /** Whether they make Redis publish expiry events; undefined if they could not be read. */
  publishesExpiry: boolean | undefined
  problem: string | undefined
}

/**
 * Never rejects.
 * @param asksConfig whether CONFIG GET is asked: a web process with the least rights may not, and each refusal is an entry in Redis's ACL LOG
 */
export async function redisStatus({ redis }: Runtime, { waitMs = WAIT_MS, asksConfig = true } = {}): Promise<RedisStatus> {
  const nothing = { notifications: undefined, publishesExpiry: undefined, refuses: undefined, problem: undefined }
  if (!redis) return { used: false, answering: false, ...nothing }
  const { connection } = redis
  try {
    await connection.connected(waitMs)
    await connection.run(waitMs, (client) => client.ping())
    await assertUsable(connection)
    const { notifications } = asksConfig ? await readSettings(connection) : {}
    const publishes = notifications === undefined ? undefined : publishesExpiry(notifications)
    const refuses = await refusal(connection.refusals.probe)
    return { used: true, answering: true, notifications, publishesExpiry: publishes, refuses, problem: undefined }
  } catch (error) {
    return { used: true, answering: false, ...nothing, problem: errorText(error) }
  }
}

/** A write that leaves nothing behind. */
async function refusal(probe: (() => Promise<unknown>) | undefined): Promise<string | undefined> {
  try {
    await probe?.()
    return undefined
  } catch (error) {
    const remedy = error instanceof Error ? replyRemedy(error) : undefined
    return `${errorText(error)}${remedy === undefined ? '' : `; ${remedy}`}`
  }
}

/**
 * The minimum by which Postgres's clock is ahead of Redis's, in milliseconds, for the first database of these rules, and in a cluster for the primary with
 * the largest difference. A difference that the round trips can explain counts as 0.
 * @param inTurn queues the query to Postgres
 * @returns undefined if one of them is not used or does not answer. Never rejects
 */
export async function clockDifference(
  { redis }: Runtime,
  rules: readonly Pick<ShopRule, 'row'>[],
  inTurn: InTurn = (ask) => ask(),
): Promise<number | undefined> {
  const sequelize = rules.find(({ row }) => row)?.row?.guard.table.sequelize
  if (!redis || !sequelize) return undefined
  const ofPostgres = () =>
    inTransaction(sequelize, QUESTION, (transaction) => {
      const asked = () => rows<{ now: number }>(sequelize, "SELECT date_part('epoch', clock_timestamp()) * 1000 AS now", [], transaction)
      return offsetOf(() => asked().then(([row]) => row?.now ?? Number.NaN))
    })
  const servers = serversOf(redis.connection.client).map((server) => () => redis.connection.ask(() => timeAt(server, undefined)))
  const ofRedis = () => Promise.all(servers.map(offsetOf))
  try {
    const both = ofRedis().then(() => Promise.all([inTurn(ofPostgres), ofRedis()] as const)) // the first answer on a connection is slow
    const read = await within(WAIT_MS, both)
    const differences = read?.[1].map((offset) => leastDifference(read[0], offset)) ?? []
    return differences.sort((one, other) => Math.abs(other) - Math.abs(one))[0]
  } catch {
    return undefined
  }
}

/** Bounds for a clock minus this process's clock. */
interface Offset {
  least: number
  most: number
}

async function offsetOf(read: () => Promise<number>): Promise<Offset> {
  const askedAt = performance.now()
  const now = await read()
  return { least: now - performance.now(), most: now - askedAt }
}

export function leastDifference(a: Offset, b: Offset): number {
  const [least, most] = [a.least - b.most, a.most - b.least]
  if (least > 0) return Math.round(least)
  return most < 0 ? Math.round(most) : 0
}
