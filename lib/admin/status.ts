// `order-timers status`: for each rule what Postgres and Redis hold now, and whether Redis answers and publishes expiry events. Reads only, and
// reports what does not answer instead of failing.

import { errorText } from '../error-text.js'
import type { Failure } from '../redis/failed-timers.js'
import { publishesExpiry, readSettings } from '../redis/server.js'
import type { RowRule } from '../rows/row-rule.js'
import type { RuleForm } from '../rules/form.js'
import type { ShopRule } from '../rules/rule.js'
import type { Runtime, RuntimeRedis } from '../timers/runtime.js'
import { countDead, keptFailures } from './kept-failures.js'
import { countOrders, type OrderStates, oldestOverdue, statesOf } from './order-counts.js'
import { boundRule, lookInWords, postgresTrouble, problemOf } from './problem.js'
import { livingProcesses, type Processes } from './processes.js'

const WAIT_MS = 5_000

export interface RuleStatus {
  kind: string
  form: RuleForm | undefined
  /** What its orders' rows say; undefined if the deadlines are in Redis alone, or the rows could not be read (see `problem`). */
  rows: RowFigures | undefined
  /** Timers in the due index, and dead letters; undefined if Redis does not answer or is not used. */
  armed: number | undefined
  dead: number | undefined
  /** Since when its brake has stopped it; null if it has no brake or is not stopped. */
  brakedSince: Date | null
  /** What is wrong with the rule or its tables, or why something could not be read. */
  problem: string | undefined
}

/** Each order is in one of the states. */
export interface RowFigures extends OrderStates {
  /** The earliest deadline of those that are `overdue`. */
  oldestOverdue: Date | null
  /** Of `pending`: due within an hour from now. */
  withinHour: number
}

export interface RedisStatus {
  used: boolean
  answering: boolean
  /** The flags of `notify-keyspace-events`; undefined if this user may not read them. */
  notifications: string | undefined
  /** Whether they make Redis publish expiry events; undefined if they could not be read. */
  publishesExpiry: boolean | undefined
  problem: string | undefined
}

export interface Status {
  /** Whether everything that is used answers and could be read, and no rule has a problem. */
  ok: boolean
  enabled: boolean
  postgres: { answering: boolean; problem: string | undefined }
  redis: RedisStatus
  /** Who is there, and what is wrong with that. Does not count for `ok`. */
  processes: Processes
  rules: RuleStatus[]
}

/** Each rule is read by itself. Never rejects: what does not answer, or could not be read, is a `problem` in the answer. */
export async function status(runtime: Runtime): Promise<Status> {
  const found = runtime.kinds.map((kind) => ({ kind, ...boundRule(runtime, kind) }))
  const redis = await redisStatus(runtime)
  const processes = await livingProcesses(runtime)
  const postgresProblem = await postgresTrouble(found.flatMap(({ rule }) => (rule ? [rule] : [])))
  const rules: RuleStatus[] = []
  for (const { kind, rule, problem } of found) {
    const nothing = { kind, form: runtime.form(kind), rows: undefined, armed: undefined, dead: undefined, brakedSince: null }
    if (!rule) rules.push({ ...nothing, problem: problem.message })
    else rules.push(await ruleStatus(rule, postgresProblem === undefined, redis.answering ? runtime.redis : undefined, runtime))
  }
  return {
    ok: postgresProblem === undefined && redis.problem === undefined && rules.every(({ problem }) => problem === undefined),
    enabled: runtime.enabled,
    postgres: { answering: postgresProblem === undefined, problem: postgresProblem },
    redis,
    processes,
    rules,
  }
}

async function ruleStatus(
  rule: ShopRule,
  postgresAnswers: boolean,
  redis: RuntimeRedis | undefined,
  runtime: Runtime,
): Promise<RuleStatus> {
  const { kind, row } = rule
  const found: RuleStatus = {
    kind,
    form: runtime.form(kind),
    rows: undefined,
    armed: undefined,
    dead: undefined,
    brakedSince: null,
    problem: undefined,
  }
  try {
    const { failures } = redis ? await keptFailures(runtime, kind) : { failures: undefined }
    found.dead = countDead(failures)
    found.armed = await redis?.connection.run(WAIT_MS, (client) => client.zcard(runtime.keys.sets(kind).due))
    if (!row || !postgresAnswers) return found
    if (row.deadline.in !== 'redis') found.rows = await rowFigures(row, failures)
    if (row.brake) found.brakedSince = await row.brake.brakedAt()
    const { problem, notLookedAt } = await lookInWords(row)
    found.problem = problem ?? notLookedAt
  } catch (error) {
    found.problem = (await problemOf(rule, error)).message
  }
  return found
}

async function rowFigures(row: RowRule, failures: ReadonlyMap<string, Failure> | undefined): Promise<RowFigures> {
  const counts = await countOrders(row, { days: 1, failures })
  return { ...statesOf(counts), oldestOverdue: oldestOverdue(counts), withinHour: counts.withinHour }
}

async function redisStatus(runtime: Runtime): Promise<RedisStatus> {
  const { redis } = runtime
  const nothing = { notifications: undefined, publishesExpiry: undefined, problem: undefined }
  if (!redis) return { used: false, answering: false, ...nothing }
  try {
    await redis.connection.connected(WAIT_MS)
    await redis.connection.run(WAIT_MS, (client) => client.ping())
    const { notifications } = await readSettings(redis.connection)
    const publishes = notifications === undefined ? undefined : publishesExpiry(notifications)
    return { used: true, answering: true, notifications, publishesExpiry: publishes, problem: undefined }
  } catch (error) {
    return { used: true, answering: false, ...nothing, problem: errorText(error) }
  }
}
