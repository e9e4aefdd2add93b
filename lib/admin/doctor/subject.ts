// What the doctor checks: the rules, the databases that they use, and Redis. Each server is asked once whether it answers, before any check.

import type { Sequelize } from 'sequelize'
import { errorText } from '../../error-text.js'
import { RedisConnection } from '../../redis/connection.js'
import { type NodeOfCluster, primariesNow } from '../../redis/primaries.js'
import type { RowRule } from '../../rows/row-rule.js'
import { inTransaction, rows } from '../../sequelize/database.js'
import { QUESTION } from '../../sequelize/statement-limits.js'
import type { Runtime, RuntimeRedis } from '../../timers/runtime.js'
import { within } from '../../wait.js'
import { boundRule } from '../problem.js'

const CONNECT_MS = 3_000
const ANSWER_MS = 2_000

/** A web process needs fewer rights: it claims nothing from Redis and receives no events. */
export type SubjectRole = 'worker' | 'web'

export interface SubjectRule {
  kind: string
  /** Undefined if the rule has no rows, or could not be bound. */
  row: RowRule | undefined
  /** Why it could not be bound to its model. */
  problem: string | undefined
}

export interface SubjectDatabase {
  sequelize: Sequelize
  /** Host, port and database, for messages. */
  where: string
  /** Why it cannot be used; undefined if it answers. */
  trouble: unknown
  /** Its version and settings; undefined if it does not answer. */
  server: { version: string; role: string; isStandby: boolean; isReadOnly: boolean } | undefined
  /** The rules whose rows are in it. */
  rules: { kind: string; row: RowRule }[]
}

/** A Redis, or one primary of a cluster. */
export interface SubjectRedis extends RuntimeRedis {
  /** Why it cannot be used; undefined if it serves. */
  trouble: unknown
  /** INFO by field, in a cluster from one node; undefined if this user may not read it, or no node answers. */
  info: ReadonlyMap<string, string> | undefined
  /** Why INFO could not be read. */
  infoError: unknown
  /** The primaries of a cluster. */
  nodes: readonly SubjectNode[]
  /** For one primary of a cluster: a hash tag whose slot it serves. */
  tag?: string
}

export interface SubjectNode extends SubjectRedis {
  address: string
}

export interface Subject {
  runtime: Runtime
  /** The folder in which the shop's packages are searched. */
  directory: string
  role: SubjectRole
  rules: readonly SubjectRule[]
  databases: readonly SubjectDatabase[]
  /** Undefined with `redis: false`, and where the timers are switched off. */
  redis: SubjectRedis | undefined
}

/** Never rejects. Writes nothing. */
export async function subjectOf(runtime: Runtime, { directory, role }: Pick<Subject, 'directory' | 'role'>): Promise<Subject> {
  const rules = runtime.kinds.map((kind): SubjectRule => {
    const { rule, problem } = boundRule(runtime, kind)
    return { kind, row: rule?.row, problem: problem?.message }
  })
  const [redis, databases] = await Promise.all([runtime.redis && redisOf(runtime.redis), Promise.all(databasesOf(rules))])
  return { runtime, directory, role, rules, databases, redis }
}

function databasesOf(rules: readonly SubjectRule[]): Promise<SubjectDatabase>[] {
  const found = new Map<Sequelize, SubjectDatabase['rules']>()
  for (const { kind, row } of rules) {
    if (!row) continue
    const { sequelize } = row.guard.table
    found.set(sequelize, [...(found.get(sequelize) ?? []), { kind, row }])
  }
  return [...found].map(async ([sequelize, ofDatabase]) => {
    const database = { sequelize, where: whereIs(sequelize), rules: ofDatabase }
    try {
      return { ...database, trouble: undefined, server: await serverOf(sequelize) }
    } catch (error) {
      return { ...database, trouble: error, server: undefined }
    }
  })
}

async function serverOf(sequelize: Sequelize): Promise<SubjectDatabase['server']> {
  const sql = `SELECT current_setting('server_version') AS version, current_user::text AS role, pg_is_in_recovery() AS "isStandby",
  current_setting('default_transaction_read_only') = 'on' AS "isReadOnly"`
  const ask = inTransaction(sequelize, QUESTION, (transaction) =>
    rows<NonNullable<SubjectDatabase['server']>>(sequelize, sql, undefined, transaction),
  )
  const found = await within(CONNECT_MS + ANSWER_MS, ask)
  if (!found) throw new Error(`no answer in ${CONNECT_MS + ANSWER_MS} ms`)
  return found[0]
}

function whereIs({ config }: Sequelize): string {
  const { host, port, database } = config as { host?: string; port?: number | string; database?: string }
  return `${host ?? 'localhost'}:${port ?? 5432}/${database ?? ''}`
}

async function redisOf(redis: RuntimeRedis): Promise<SubjectRedis> {
  const { connection } = redis
  try {
    await connection.connected(CONNECT_MS)
    await connection.run(ANSWER_MS, (client) => client.time()) // a Redis that cannot save refuses PING
  } catch (error) {
    return { ...redis, trouble: error, info: undefined, infoError: undefined, nodes: [] }
  }
  const nodes = await Promise.all(primariesNow(connection.client).map((primary) => nodeOf(redis, primary)))
  return { ...redis, trouble: undefined, ...(await infoOf(connection)), nodes }
}

/** With a separate connection, which `endNodes` closes. */
async function nodeOf(redis: RuntimeRedis, { address, source, tag }: NodeOfCluster): Promise<SubjectNode> {
  const connection = new RedisConnection(source, 'express-order-timers:doctor')
  const node = { ...redis, source, connection, address, tag, nodes: [] }
  try {
    await connection.connected(CONNECT_MS)
    return { ...node, trouble: undefined, ...(await infoOf(connection)) }
  } catch (error) {
    return { ...node, trouble: error, info: undefined, infoError: undefined }
  }
}

/** Closes the connections to single nodes. */
export function endNodes({ redis }: Subject): void {
  for (const { connection } of redis?.nodes ?? []) connection.close()
}

async function infoOf(connection: RedisConnection): Promise<Pick<SubjectRedis, 'info' | 'infoError'>> {
  try {
    return { info: fieldsOf(await connection.run(ANSWER_MS, (client) => client.info())), infoError: undefined }
  } catch (error) {
    return { info: undefined, infoError: error }
  }
}

/** https://redis.io/docs/latest/commands/info/: lines `field:value`, in sections. */
function fieldsOf(info: string): Map<string, string> {
  const lines = info.split('\r\n').flatMap((line) => {
    const colon = line.indexOf(':')
    return colon < 0 || line.startsWith('#') ? [] : [[line.slice(0, colon), line.slice(colon + 1)] as const]
  })
  return new Map(lines)
}

/** Why a server that a check needs cannot be asked; undefined if it can. */
export function cannotAsk({ redis, databases, runtime }: Subject, needs: 'redis' | 'postgres' | undefined): string | undefined {
  if (needs === 'redis') {
    if (!redis) return runtime.enabled ? 'Redis is not used ("redis" is false)' : 'the timers are switched off here'
    return redis.trouble === undefined ? undefined : 'Redis does not serve; see redis.reachable'
  }
  if (needs === 'postgres') {
    const [down] = databases.filter(({ trouble }) => trouble !== undefined)
    if (down) return 'Postgres does not answer; see postgres.reachable'
  }
  return undefined
}

/** @returns the text of an error, for a finding */
export function why(error: unknown): string {
  return errorText(error)
}
