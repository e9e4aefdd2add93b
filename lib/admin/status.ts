// How the timers stand now: for each rule what Postgres and Redis hold, and of Redis itself whether it answers and publishes expiry. Looks only,
// and says what does not answer instead of failing.

import { within } from '../redis/connection.js'
import { publishesExpiry, readSettings } from '../redis/server.js'
import { rows } from '../rules/database.js'
import type { BoundRule, RuleForm } from '../rules/rule.js'
import type { RedisParts, Runtime } from '../runtime.js'
import { takeCensus } from './census.js'

const PATIENCE_MS = 5_000

export interface RuleStatus {
  kind: string
  form: RuleForm
  /** What its orders' rows say; none where the deadlines are in Redis alone, or the row could not be read (see `problem`). */
  rows: RowFigures | undefined
  /** Timers in the due index, and dead letters; none where Redis does not answer or is not used. */
  armed: number | undefined
  dead: number | undefined
  /** Since when its brake has stopped it; null where it has not, or has none. */
  brakedSince: Date | null
  /** Why something could not be read. */
  problem: string | undefined
}

export interface RowFigures {
  /** All that have a deadline: overdue, stale, held or still to come. */
  pending: number
  withinHour: number
  overdue: number
  stale: number
  undated: number
  paused: number
}

export interface RedisStatus {
  used: boolean
  answering: boolean
  /** The flags of `notify-keyspace-events`; undefined where this user may not read them. */
  notifications: string | undefined
  /** Whether they make Redis publish expiry; undefined where they could not be read. */
  publishesExpiry: boolean | undefined
  problem: string | undefined
}

export interface Status {
  /** Whether everything that is used answers, and could be read. */
  ok: boolean
  enabled: boolean
  postgres: { answering: boolean; problem: string | undefined }
  redis: RedisStatus
  rules: RuleStatus[]
}

/** @throws OrderTimersError INVALID_MODEL, INVALID_STATUS, SHARED_DEADLINE */
export async function status(runtime: Runtime): Promise<Status> {
  const bound = runtime.rules()
  const redis = await redisStatus(runtime)
  const postgresProblem = await postgresTrouble(bound)
  const rules: RuleStatus[] = []
  for (const rule of bound)
    rules.push(await ruleStatus(rule, postgresProblem === undefined, redis.answering ? runtime.redis : undefined, runtime))
  return {
    ok: postgresProblem === undefined && redis.problem === undefined && rules.every(({ problem }) => problem === undefined),
    enabled: runtime.enabled,
    postgres: { answering: postgresProblem === undefined, problem: postgresProblem },
    redis,
    rules,
  }
}

async function ruleStatus(rule: BoundRule, postgresAnswers: boolean, redis: RedisParts | undefined, runtime: Runtime): Promise<RuleStatus> {
  const { kind, form, row } = rule
  const found: RuleStatus = { kind, form, rows: undefined, armed: undefined, dead: undefined, brakedSince: null, problem: undefined }
  try {
    if (redis) {
      found.armed = await redis.connection.run(PATIENCE_MS, (client) => client.zcard(runtime.keys.sets(kind).due))
      found.dead = (await redis.index.dead(kind, PATIENCE_MS)).size
    }
    if (!row || !postgresAnswers) return found
    if (row.pending) found.rows = await rowFigures(rule)
    if (row.brake) found.brakedSince = await row.brake.brakedAt()
  } catch (error) {
    found.problem = await reason(rule, error)
  }
  return found
}

async function rowFigures({ row }: BoundRule): Promise<RowFigures> {
  const census = await takeCensus(row as NonNullable<typeof row>, { days: 1 })
  const { overdue, stale, undated, paused, held, upcoming, later, withinHour } = census
  return { pending: overdue + stale + held + upcoming + later, withinHour, overdue, stale, undated, paused }
}

/** What the table lacks, if that is it: it says the remedy. */
async function reason({ row }: BoundRule, error: unknown): Promise<string> {
  try {
    await row?.check()
    return (error as Error).message
  } catch (wrong) {
    return (wrong as Error).message
  }
}

async function redisStatus(runtime: Runtime): Promise<RedisStatus> {
  const { redis } = runtime
  const nothing = { notifications: undefined, publishesExpiry: undefined, problem: undefined }
  if (!redis) return { used: false, answering: false, ...nothing }
  try {
    await redis.connection.connected(PATIENCE_MS)
    await redis.connection.run(PATIENCE_MS, (client) => client.ping())
    const { notifications } = await readSettings(redis.connection)
    const publishes = notifications === undefined ? undefined : publishesExpiry(notifications)
    return { used: true, answering: true, notifications, publishesExpiry: publishes, problem: undefined }
  } catch (error) {
    return { used: true, answering: false, ...nothing, problem: (error as Error).message }
  }
}

/** Asked of each database once; one that is silent counts as one that does not answer. */
async function postgresTrouble(rules: readonly BoundRule[]): Promise<string | undefined> {
  const databases = new Set(rules.flatMap(({ row }) => (row ? [row.guard.table.sequelize] : [])))
  const answers = [...databases].map((sequelize) =>
    within(
      PATIENCE_MS,
      rows(sequelize, 'SELECT 1', [], null).then(
        () => null,
        (error: Error) => error.message,
      ),
    ),
  )
  for (const answer of await Promise.all(answers)) {
    if (answer === null) continue
    return `Postgres does not answer (${answer ?? `nothing in ${PATIENCE_MS} ms`}); look whether it runs and may be reached`
  }
  return undefined
}
