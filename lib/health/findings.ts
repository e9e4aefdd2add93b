// Collects the facts of a readiness reading: the servers' answers, and what this process and its workers know.

import { aboutOf, type FaultOf } from '../faults.js'
import { isAliveByBeat } from '../redis/process-records.js'
import { isSwept } from '../rules/rule.js'
import type { Runtime } from '../timers/runtime.js'
import { type RunningWorker, runningWorkers } from '../worker/running.js'
import { Backlog } from './backlog.js'
import type { Findings } from './checks.js'
import { PostgresLook, type PostgresReading } from './postgres.js'
import { RedisLook, type RedisReading } from './redis.js'

/** The default interval between sweeps, if workers' records have none. */
const DEFAULT_INTERVAL_MS = 60_000

export class Look {
  private readonly redis: RedisLook
  private readonly postgres: PostgresLook
  private readonly backlog = new Backlog()
  private readonly begunAt = performance.now()
  private downSince: number | undefined

  constructor(private readonly runtime: Runtime) {
    this.redis = new RedisLook(runtime)
    this.postgres = new PostgresLook(runtime, (kind) => this.redis.failedIds(kind))
  }

  /** Never rejects. */
  async take(): Promise<Findings> {
    const [postgres, redis] = await Promise.all([this.postgres.read(), this.redis.read()])
    const now = performance.now()
    if (postgres?.trouble === undefined) this.downSince = undefined
    else this.downSince ??= now
    this.noteBacklog(postgres, redis)
    const workers = runningWorkers(this.runtime)
    return {
      postgres,
      redis,
      faults: this.faults(workers),
      eventsProved: eventsProved(workers),
      lateness: lateness(workers, redis),
      ...this.sweep(workers, redis),
      intervalMs: this.intervalMs(workers),
      redisSkewMs: this.redisSkewMs(),
      postgresDownMs: this.downSince === undefined ? 0 : now - this.downSince,
      shrinks: (overdue) => this.backlog.shrinks(overdue),
    }
  }

  /** If a worker runs on the timers, both may have the same fault. */
  private faults(workers: readonly RunningWorker[]): FaultOf<string>[] {
    const all: FaultOf<string>[] = [...this.runtime.health().faults, ...workers.flatMap((worker) => worker.health().faults)]
    return [...new Map(all.map((fault) => [`${fault.code} ${aboutOf(fault) ?? ''}`, fault])).values()]
  }

  /** A rule that this reading did not reach keeps its last facts: the queries about other rules may have taken too long. */
  private noteBacklog(postgres: PostgresReading | undefined, redis: RedisReading | undefined): void {
    if (postgres?.trouble !== undefined) return
    const { overdue = [], unread = [], notLookedAt = [] } = postgres ?? {}
    const inRedis = redis?.overdue?.map((orders) => ({ ...orders, agoMs: 0 })) ?? []
    const unsaid = redis && !redis.overdue ? this.runtime.kinds.filter((kind) => !this.sweptKinds().includes(kind)) : []
    this.backlog.note([...overdue, ...inRedis], [...unread.map(({ kind }) => kind), ...notLookedAt, ...unsaid])
  }

  private sweep(workers: readonly RunningWorker[], redis: RedisReading | undefined): Pick<Findings, 'sweep' | 'sweepUnknown'> {
    const own = workers.flatMap(({ parts }) => parts.sweep.lastRead?.at ?? [])
    const ownMs = own.length > 0 ? Date.now() - Math.max(...own.map(Number)) : undefined
    let longest: Findings['sweep']
    const kinds = this.sweptKinds()
    for (const kind of kinds) {
      const known = [ownMs, redis?.readAgoMs?.get(kind)].filter((agoMs) => agoMs !== undefined)
      if (known.length === 0 && workers.length === 0) continue // a process that only schedules does not know it
      const agoMs = known.length > 0 ? Math.max(0, Math.min(...known)) : performance.now() - this.begunAt
      if (longest === undefined || agoMs > longest.agoMs) longest = { kind, agoMs }
    }
    return { sweep: longest, sweepUnknown: kinds.length > 0 && longest === undefined && redis !== undefined && !redis.readAgoMs }
  }

  private sweptKinds(): string[] {
    return this.runtime.kinds.filter((kind) => {
      try {
        return isSwept(this.runtime.rule(kind))
      } catch {
        return false // the reading of Postgres shows it
      }
    })
  }

  /** The shortest interval of this process's workers; without one, of all living workers. */
  private intervalMs(workers: readonly RunningWorker[]): number | undefined {
    if (workers.length > 0) return shortest(workers.map(({ parts }) => parts.schedule.intervalMs))
    const seen = this.runtime.beats?.seen?.processes.filter((one) => one.role === 'worker' && isAliveByBeat(one)) ?? []
    return seen.length > 0 ? shortest(seen.map(({ sweepMs = DEFAULT_INTERVAL_MS }) => sweepMs ?? undefined)) : DEFAULT_INTERVAL_MS
  }

  private redisSkewMs(): number | undefined {
    const known = this.runtime.redis?.clock.known()
    return known === undefined ? undefined : known - Date.now()
  }
}

function shortest(all: readonly (number | undefined)[]): number | undefined {
  const known = all.filter((one) => one !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}

function eventsProved(workers: readonly RunningWorker[]): boolean | undefined {
  const intakes = workers.flatMap(({ parts }) => parts.intake ?? [])
  return intakes.length === 0 ? undefined : intakes.every(({ events }) => events === true)
}

function lateness(workers: readonly RunningWorker[], redis: RedisReading | undefined): Findings['lateness'] {
  const own = workers.flatMap((worker) => Object.entries(worker.health().lateness).map(([kind, { minute }]) => [kind, minute] as const))
  if (workers.length > 0) return new Map(own)
  return redis ? redis.lateness : new Map()
}
