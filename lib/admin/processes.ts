// The records that processes have written in Redis and Postgres, and how late orders were, for the command, health and metrics.

import { errorText } from '../error-text.js'
import { BUCKETS } from '../lateness-buckets.js'
import { LatenessReader } from '../redis/lateness-counts.js'
import { Presence } from '../redis/presence.js'
import { isAliveByBeat, type SeenProcess } from '../redis/process-records.js'
import { isReply } from '../redis/replies.js'
import type { ProcessesTableState } from '../rows/processes-table.js'
import { type Finding, findingsOf, isAliveByRow } from '../timers/findings.js'
import { ProcessRows } from '../timers/process-rows.js'
import type { Runtime } from '../timers/runtime.js'
import { within } from '../wait.js'
import { byPath, type LatenessByPath } from '../worker/settling/lateness.js'

const WAIT_MS = 2_000

/** A process, and whether it counts as alive. */
export interface ListedProcess extends SeenProcess {
  alive: boolean
  /** Where its last heartbeat was. */
  by: 'redis' | 'postgres'
}

export interface Processes {
  /** Workers first, then web processes; the latest heartbeat first. Processes that ended normally have no record. */
  processes: ListedProcess[]
  /** Conclusions from all records, such as that no worker is alive; as seen by a web process, and without the delay that faults have. */
  findings: Finding[]
  /** Whether Redis could be read, or why not; `not used` with `redis: false`. */
  redis: 'read' | 'not used' | { problem: string }
  /** The same for the table of processes; `no table`: the migration has not been run; `no right`: this role may not read it. */
  postgres: 'read' | Exclude<ProcessesTableState, 'written'> | 'not read'
}

export interface LivingOptions {
  /** False if Redis refuses writes: then missing heartbeats mean nothing. By default a test write finds out, where no worker has a recent one. */
  beatsAreWritten?: boolean
  /** Queues the query to Postgres. */
  inTurn?: InTurn
}

export type InTurn = <T>(ask: () => Promise<T>) => Promise<T>

const NOT_READ = { seen: undefined, state: 'not read' } as const

/** Never rejects. A test write in Redis leaves nothing behind. */
export async function livingProcesses(
  runtime: Runtime,
  { beatsAreWritten, inTurn = (ask) => ask() }: LivingOptions = {},
): Promise<Processes> {
  const [read, postgres] = await Promise.all([readRedis(runtime), inTurn(() => readPostgres(runtime)).catch(() => NOT_READ)])
  const hasWorker = read.seen?.some((one) => one.role === 'worker' && isAliveByBeat(one))
  const redis: typeof read =
    !read.seen || (beatsAreWritten ?? (hasWorker || (await takesWrites(runtime))))
      ? read
      : { ...read, seen: undefined, state: { problem: 'Redis refuses writes, so no process sends heartbeats' } }
  const listed = new Map<string, ListedProcess>()
  for (const one of redis.seen ?? []) listed.set(one.id, { ...one, alive: isAliveByBeat(one), by: 'redis' })
  for (const one of postgres.seen ?? []) {
    const known = listed.get(one.id)
    if (!known || (one.ageMs < known.ageMs && !known.alive)) listed.set(one.id, { ...one, alive: isAliveByRow(one), by: 'postgres' })
  }
  const looker = {
    id: runtime.identity.id,
    role: 'web' as const,
    rules: runtime.fingerprints,
    redis: runtime.redis?.connection.where ?? null,
  }
  const findings = findingsOf({ ...looker, ...redis.data }, { redis: redis.seen, postgres: postgres.seen }) ?? []
  return { processes: [...listed.values()].sort(workersFirst), findings, redis: redis.state, postgres: postgres.state }
}

/** Undefined if no record could be read. */
export function livingWorkers({ processes, redis, postgres }: Processes): number | undefined {
  if (redis !== 'read' && postgres !== 'read') return undefined
  return processes.filter(({ alive, role }) => alive && role === 'worker').length
}

/**
 * How late a rule's orders were in the last hour, over all workers, by path.
 * @param minutes another time, at most 1,500
 * @returns undefined with `redis: false`
 * @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error
 */
export async function latenessOf(runtime: Runtime, kind: string, minutes = 60): Promise<LatenessByPath | undefined> {
  return (await latenessOfAll(runtime, minutes))?.get(kind)
}

/** The same for all rules in one reading. */
export async function latenessOfAll(runtime: Runtime, minutes = 60): Promise<Map<string, LatenessByPath> | undefined> {
  const { redis, keys } = runtime
  if (!redis) return undefined
  const counts = await new LatenessReader(redis.connection, keys).read(minutes, WAIT_MS)
  const none = new Uint32Array(BUCKETS)
  return new Map(
    [...new Set([...runtime.kinds, ...counts.keys()])].map((kind) => [kind, byPath((path) => counts.get(kind)?.get(path) ?? none)]),
  )
}

interface Read<State> {
  seen: SeenProcess[] | undefined
  state: State
}

async function readRedis({ redis, keys }: Runtime): Promise<Read<Processes['redis']> & { data: { redisData?: string } }> {
  if (!redis) return { seen: undefined, state: 'not used', data: {} }
  try {
    const { processes, redisData } = await new Presence(redis.connection, keys).read(WAIT_MS)
    return { seen: processes, state: 'read', data: redisData === '' ? {} : { redisData } }
  } catch (error) {
    return { seen: undefined, state: { problem: errorText(error) }, data: {} }
  }
}

/** Also if it does not answer, which its own reading shows. */
async function takesWrites({ redis }: Runtime): Promise<boolean> {
  try {
    await redis?.connection.refusals.probe?.()
    return true
  } catch (error) {
    return !isReply(error)
  }
}

async function readPostgres(runtime: Runtime): Promise<Read<Processes['postgres']>> {
  const rows = new ProcessRows(runtime.keys.prefix, runtime.kinds, (kind) => runtime.rule(kind))
  const seen = await within(WAIT_MS, rows.read()) // a frozen server accepts connections, and never answers on them
  if (seen) return { seen, state: 'read' }
  return { seen, state: rows.state === 'written' || rows.state === 'unknown' ? 'not read' : rows.state }
}

function workersFirst(one: ListedProcess, other: ListedProcess): number {
  if (one.role !== other.role) return one.role === 'worker' ? -1 : 1
  return one.ageMs - other.ageMs
}
