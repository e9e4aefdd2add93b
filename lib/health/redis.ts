// What a look at readiness asks Redis: when overdue orders were last read, which timers failed, and, in a process without a worker, how late orders
// were. Nothing is asked while Redis does not answer, and no answer is waited for longer than half a second.

import { latenessOfAll } from '../admin/processes.js'
import type { LatenessSummary } from '../lateness-buckets.js'
import type { Runtime, RuntimeRedis } from '../timers/runtime.js'
import { within } from '../wait.js'

export interface RedisReading {
  /** Whether it answers now, and can serve timers. */
  answers: boolean
  /** Of each rule: how long ago any worker last read what is overdue, milliseconds. Rules that nobody has read are left out. */
  readAgoMs: ReadonlyMap<string, number>
  /** How many dead letters each rule has; undefined where Redis did not say. */
  dead: ReadonlyMap<string, number> | undefined
  /** How late the orders of each rule were in the last minute; undefined where a worker of this process knows better. */
  lateness: ReadonlyMap<string, LatenessSummary> | undefined
}

const WAIT_MS = 500

/** Where more timers than this have failed, they are read no more often than every ten seconds. */
const MANY = 100
const MANY_EVERY_MS = 10_000

interface Failed {
  at: number
  retrying: string[]
  dead: string[]
}

export class RedisLook {
  private readonly failed = new Map<string, Failed>()
  private asking: Promise<RedisReading> | undefined

  constructor(private readonly runtime: Runtime) {}

  /** Never rejects. @returns undefined with `redis: false` */
  async read(): Promise<RedisReading | undefined> {
    const { redis } = this.runtime
    if (!redis) return undefined
    if (!redis.connection.ready) await within(WAIT_MS, redis.connection.openQuietly())
    if (!redis.connection.serving) return nothing(false)
    this.asking ??= this.ask(redis).finally(() => {
      this.asking = undefined
    })
    const reading = await within(WAIT_MS, this.asking)
    return reading ?? nothing(redis.connection.serving)
  }

  /** The ids of all orders on which the rule failed; as they were last read, while Redis does not answer. */
  async failedIds(kind: string): Promise<string[] | undefined> {
    const { redis } = this.runtime
    const last = () => this.failed.get(kind)
    const read = redis?.connection.serving ? await within(WAIT_MS, this.readFailed(redis, kind).catch(last)) : undefined
    const failed = read ?? last()
    return failed && [...failed.retrying, ...failed.dead]
  }

  private async ask(redis: RuntimeRedis): Promise<RedisReading> {
    try {
      const [readAgoMs, dead, lateness] = await Promise.all([this.reads(redis), this.dead(redis), this.lateness()])
      return { answers: true, readAgoMs, dead, lateness }
    } catch {
      return nothing(redis.connection.serving)
    }
  }

  private async reads({ connection, clock }: RuntimeRedis): Promise<ReadonlyMap<string, number>> {
    const { kinds, keys } = this.runtime
    const marks = await connection.ask((client) => Promise.all(kinds.map((kind) => client.get(keys.sets(kind).read))))
    const now = await clock.now()
    return new Map(kinds.flatMap((kind, i) => (marks[i] ? [[kind, Math.max(0, now - Number(marks[i]))] as const] : [])))
  }

  private async dead(redis: RuntimeRedis): Promise<ReadonlyMap<string, number>> {
    const dead = new Map<string, number>()
    for (const kind of this.runtime.kinds) dead.set(kind, (await this.readFailed(redis, kind)).dead.length)
    return dead
  }

  private async readFailed(redis: RuntimeRedis, kind: string): Promise<Failed> {
    const known = this.failed.get(kind)
    if (known && known.retrying.length + known.dead.length > MANY && performance.now() - known.at < MANY_EVERY_MS) return known
    const all = [...(await redis.failures.all(kind, 2 * WAIT_MS))]
    const failed = {
      at: performance.now(),
      retrying: all.flatMap(([id, failure]) => (failure.dead ? [] : [id])),
      dead: all.flatMap(([id, failure]) => (failure.dead ? [id] : [])),
    }
    this.failed.set(kind, failed)
    return failed
  }

  private async lateness(): Promise<ReadonlyMap<string, LatenessSummary> | undefined> {
    return this.runtime.running.size > 0 ? undefined : latenessOfAll(this.runtime, 1)
  }
}

function nothing(answers: boolean): RedisReading {
  return { answers, readAgoMs: new Map(), dead: undefined, lateness: undefined }
}
