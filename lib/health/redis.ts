// The queries of a readiness reading to Redis: when overdue orders were last read, failed timers, overdue timers only in Redis (and in
// Postgres, whether their rule is held), and, in a process without a worker, how late orders were. Nothing is asked while Redis does not answer, and no answer is waited for longer than half a second.

import { failingKinds } from '../admin/problem.js'
import { latenessOfAll } from '../admin/processes.js'
import { stopOfRule } from '../admin/stop.js'
import type { LatenessSummary } from '../lateness-buckets.js'
import type { FailedIds } from '../redis/failed-timers.js'
import { ageOfMark } from '../redis/sweep-marks.js'
import type { ShopRule } from '../rules/rule.js'
import type { Runtime, RuntimeRedis } from '../timers/runtime.js'
import { within } from '../wait.js'
import { EXCUSES_FROM_MS, type OverdueOrders } from './database-look.js'

export interface RedisReading {
  /** Whether it answers now, and can serve timers. */
  answers: boolean
  /** For each rule: how long ago any worker last read what is overdue, milliseconds. Rules that were never read are left out. Undefined if Redis did not answer. */
  readAgoMs: ReadonlyMap<string, number> | undefined
  /** How many dead letters each rule and reminder has, and how long ago they were counted; undefined if Redis never answered. */
  dead: { counts: ReadonlyMap<string, number>; agoMs: number } | undefined
  /** Overdue timers of rules whose deadlines are only in Redis; undefined if Redis did not answer. */
  overdue: OverdueOrders[] | undefined
  /** How late the orders of each rule were in the last minute; undefined if a worker of this process knows it. */
  lateness: ReadonlyMap<string, LatenessSummary> | undefined
}

const WAIT_MS = 500

/** If more timers than this have failed, they are read at most every ten seconds. */
const MANY = 100
const MANY_EVERY_MS = 10_000

interface Failed extends FailedIds {
  at: number
}

export class RedisLook {
  private readonly failed = new Map<string, Failed>()
  private asking: Promise<RedisReading> | undefined
  /** Rules that are held, as Postgres last said. */
  private readonly excused = new Set<string>()
  private excusing: Promise<void> | undefined

  constructor(private readonly runtime: Runtime) {}

  /** Never rejects, and waits a second at most. @returns undefined with `redis: false` */
  async read(): Promise<RedisReading | undefined> {
    const { redis } = this.runtime
    return redis && ((await within(2 * WAIT_MS, this.look(redis))) ?? this.nothing(redis.connection.serving))
  }

  private async look(redis: RuntimeRedis): Promise<RedisReading> {
    if (!redis.connection.ready) await within(WAIT_MS, redis.connection.openQuietly())
    if (!redis.connection.serving) return this.nothing(false)
    this.asking ??= this.ask(redis).finally(() => {
      this.asking = undefined
    })
    return this.asking
  }

  /** The ids of all orders on which the rule failed; the last known ones while Redis does not answer. */
  async failedIds(kind: string): Promise<string[] | undefined> {
    const { redis } = this.runtime
    const last = () => this.failed.get(kind)
    const read = redis?.connection.serving ? await within(WAIT_MS, this.readFailed(redis, kind).catch(last)) : undefined
    const failed = read ?? last()
    return failed && [...failed.retrying, ...failed.dead]
  }

  private async ask(redis: RuntimeRedis): Promise<RedisReading> {
    const orNothing = <T>(look: Promise<T>) => within(WAIT_MS, look).catch(() => undefined)
    const [readAgoMs, , overdue, lateness] = await Promise.all([
      orNothing(this.reads(redis)),
      orNothing(this.readAllFailed(redis)),
      orNothing(this.overdue(redis)).then((overdue) => overdue && this.withoutExcuse(overdue)),
      orNothing(this.lateness()),
    ])
    return { answers: redis.connection.serving, readAgoMs, dead: this.dead(), overdue, lateness }
  }

  private nothing(answers: boolean): RedisReading {
    return { answers, readAgoMs: undefined, dead: this.dead(), overdue: undefined, lateness: undefined }
  }

  private async reads({ connection, clock }: RuntimeRedis): Promise<ReadonlyMap<string, number>> {
    const { kinds, keys } = this.runtime
    const marks = await connection.ask((client) => Promise.all(kinds.map((kind) => client.get(keys.sets(kind).read))))
    const now = await clock.now()
    const ages = kinds.map((kind, i) => [kind, ageOfMark(marks[i] ?? '', now)] as const)
    return new Map(ages.flatMap(([kind, ageMs]) => (ageMs === undefined ? [] : [[kind, ageMs] as const])))
  }

  /** The first timer of each rule without rows to sweep. Failed timers are in the index under the time of their next attempt. */
  private async overdue({ index, clock }: RuntimeRedis): Promise<OverdueOrders[]> {
    const kinds = this.runtime.kinds.filter((kind) => ['handler', 'redis'].includes(this.runtime.form(kind) ?? ''))
    const first = await Promise.all(kinds.map((kind) => index.first(kind, 2 * WAIT_MS)))
    const now = kinds.length > 0 ? await clock.now() : 0
    return kinds.flatMap((kind, i) => {
      const deadlineMs = first[i] ?? now
      return deadlineMs < now ? [{ kind, count: 1, ageMs: now - deadlineMs }] : []
    })
  }

  /** Never rejects. Postgres is asked nothing while nothing has been overdue for long, and by one question at a time. */
  private async withoutExcuse(overdue: OverdueOrders[]): Promise<OverdueOrders[]> {
    const long = overdue.filter(({ ageMs }) => ageMs > EXCUSES_FROM_MS)
    if (long.length === 0) return overdue
    this.excusing ??= this.readExcuses(long.map(({ kind }) => kind)).finally(() => {
      this.excusing = undefined
    })
    await within(WAIT_MS, this.excusing)
    return overdue.filter((one) => !long.includes(one) || !this.excused.has(one.kind))
  }

  private async readExcuses(kinds: readonly string[]): Promise<void> {
    for (const kind of kinds) {
      try {
        if (await settlesNothing(this.runtime.rule(kind))) this.excused.add(kind)
        else this.excused.delete(kind)
      } catch {
        // the reading of Postgres shows it; until then the last state stays
      }
    }
  }

  private async readAllFailed(redis: RuntimeRedis): Promise<void> {
    for (const kind of failingKinds(this.runtime)) await this.readFailed(redis, kind)
  }

  private dead(): RedisReading['dead'] {
    if (failingKinds(this.runtime).some((kind) => !this.failed.has(kind))) return undefined
    const counts = new Map([...this.failed].map(([kind, { dead }]) => [kind, dead.length]))
    return { counts, agoMs: performance.now() - Math.min(...[...this.failed.values()].map(({ at }) => at)) }
  }

  private async readFailed(redis: RuntimeRedis, kind: string): Promise<Failed> {
    const known = this.failed.get(kind)
    if (known && known.retrying.length + known.dead.length > MANY && performance.now() - known.at < MANY_EVERY_MS) return known
    const failed = { at: performance.now(), ...(await redis.failures.ids(kind, 2 * WAIT_MS)) }
    this.failed.set(kind, failed)
    return failed
  }

  private async lateness(): Promise<ReadonlyMap<string, LatenessSummary> | undefined> {
    return this.runtime.running.size > 0 ? undefined : latenessOfAll(this.runtime, 1)
  }
}

async function settlesNothing({ row }: ShopRule): Promise<boolean> {
  return row !== undefined && (await stopOfRule(row)) !== undefined
}
