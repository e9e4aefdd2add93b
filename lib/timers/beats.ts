// The heartbeats by which processes learn of each other: in Redis (a worker every 2 s, a web process every 15 s), and
// once a minute in Postgres, if the table exists. They do not keep the process running, and no order waits for them.

import type { FaultOf } from '../faults.js'
import type { Identity } from '../identity.js'
import type { Keys } from '../keys.js'
import type { Log } from '../logger.js'
import { Loop } from '../loop.js'
import { Moment } from '../moment.js'
import type { RedisConnection } from '../redis/connection.js'
import { Presence } from '../redis/presence.js'
import { ALIVE_MS, type ProcessRecord, type Role, type SeenProcess } from '../redis/process-records.js'
import type { Pulse } from '../redis/pulse.js'
import type { DeclaredRule, ShopRule } from '../rules/rule.js'
import { VERSION } from '../version.js'
import { within } from '../wait.js'
import { beatFailures } from './beat-failures.js'
import { BEAT_TIMES, type BeatTimes } from './beat-times.js'
import { type BeatingWorker, recordOf, seldomMs, sumOf } from './beating-worker.js'
import { type Finding, findingsOf } from './findings.js'
import { ProcessRows } from './process-rows.js'
import { recordedFaults } from './recorded-faults.js'
import { RowBeats } from './row-beats.js'
import { Suspicions } from './suspicions.js'
import { WorkerWatch } from './worker-watch.js'

/** How long a process waits at its end to remove its record. */
const LEAVE_MS = 500

const REDIS_MS = 1_000

/** How often the loop of a worker with rare heartbeats runs. */
const TURN_MS = 15_000

export interface BeatsDependencies {
  identity: Identity
  keys: Keys
  /** Undefined with `redis: false`. */
  redis: { connection: RedisConnection; pulse: Pulse; feed?: { watched: boolean } } | undefined
  declared: ReadonlyMap<string, DeclaredRule>
  /** A rule bound to its model. @throws if it cannot be bound */
  rule(kind: string): ShopRule
  /** The present faults of the timers of a process without a worker. */
  faults(): readonly FaultOf<string>[]
  log: Log
}

export class Beats {
  readonly suspicions: Suspicions
  readonly loop = new Loop('beats')
  /** All processes as Redis had them, and when; undefined before the first answered heartbeat. */
  seen: { processes: readonly SeenProcess[]; at: Moment } | undefined
  private readonly presence: Presence | undefined
  private readonly failed: (error: unknown) => void
  private readonly rows: ProcessRows
  private readonly rowBeats: RowBeats
  private readonly workers = new Set<BeatingWorker>()
  private readonly rules: Record<string, string>
  private timer: NodeJS.Timeout | undefined
  private readonly watch: WorkerWatch | undefined
  private lastBeat: Moment | undefined
  private beating: Promise<void> | undefined
  private redisData: string | undefined
  private isMounted = false
  private begun = false
  private onlyLooks = false
  private ended = false

  constructor(
    private readonly dependencies: BeatsDependencies,
    private readonly times: BeatTimes = BEAT_TIMES,
  ) {
    const { declared, redis, keys, rule, log } = dependencies
    this.suspicions = new Suspicions(log, times.quietStart)
    this.failed = beatFailures(log)
    this.presence = redis && new Presence(redis.connection, keys, redis.pulse)
    this.watch =
      this.presence &&
      new WorkerWatch(this.presence, (isWatched) => {
        if (redis?.feed) redis.feed.watched = isWatched
      })
    this.rows = new ProcessRows(keys.prefix, [...declared.keys()], rule)
    this.rowBeats = new RowBeats(this.rows)
    this.rules = Object.fromEntries([...declared].map(([kind, { fingerprint }]) => [kind, fingerprint]))
    redis?.connection.onUp(() => this.connected())
  }

  /** The app has mounted the timers. */
  mounted(): void {
    this.isMounted = true
    this.begin()
  }

  /** A worker runs on these timers. @returns a function that ends this; it resolves when the last heartbeat was sent, or after a moment */
  addWorker(worker: BeatingWorker): () => Promise<void> {
    const endReports = this.suspicions.reportTo(worker.faults)
    this.workers.add(worker)
    this.begun = true
    this.lastBeat = undefined
    this.rowBeats.dueIn(this.times.firstRowOfWorker)
    this.beatIn(0)
    return async () => {
      endReports()
      await within(LEAVE_MS, this.beat()) // sends the remaining counts
      this.workers.delete(worker)
      if (this.workers.size > 0 || this.ended) return
      if (this.isMounted) await within(LEAVE_MS, this.beat())
      else await this.leave()
    }
  }

  /** Ends the heartbeats, and removes the record of this process. */
  async end(): Promise<void> {
    if (this.ended) return
    const beat = this.begun
    this.ended = true
    clearTimeout(this.timer)
    this.loop.rests()
    if (beat) await this.leave()
  }

  /** For a program that only reads the timers, such as the command: it sends heartbeats only if it starts a worker. */
  onlyLook(): void {
    this.onlyLooks = true
    if (this.workers.size > 0) return
    clearTimeout(this.timer)
    this.loop.rests()
  }

  /** A worker with rare heartbeats sends one at once. */
  private connected(): void {
    this.begin()
    if (seldomMs(this.workers) === undefined) return
    this.lastBeat = undefined
    this.beatIn(0)
  }

  private begin(): void {
    if (this.begun || this.ended || this.onlyLooks) return
    this.begun = true
    this.rowBeats.dueIn(this.times.row)
    this.beatIn(this.times.first)
  }

  private get role(): Role {
    return this.workers.size > 0 ? 'worker' : 'web'
  }

  private get everyMs(): number {
    const { worker, look, doubting } = this.times
    if (this.role === 'worker') return Math.min(seldomMs(this.workers) ?? worker, TURN_MS)
    if (this.suspicions.any) return doubting
    return this.watch?.isSeldom ? this.times.web : look
  }

  private beatIn(milliseconds: number): void {
    clearTimeout(this.timer)
    if (this.ended) return
    this.loop.turned()
    this.timer = setTimeout(() => void this.beatOrLook().then(() => this.beatIn(this.everyMs)), milliseconds).unref()
  }

  /** A web process without news only checks whether a worker is alive. */
  private async beatOrLook(): Promise<void> {
    if (this.lastBeat && this.lastBeat.passedMs() < (seldomMs(this.workers) ?? 0)) return
    const mayLook = this.role === 'web' && !this.suspicions.any && this.lastBeat !== undefined && this.lastBeat.passedMs() < this.times.web
    if (mayLook && this.watch?.isSeldom) return
    if (mayLook && !this.dependencies.redis?.connection.usable) return this.watch?.failed()
    if (!mayLook || !(await this.watch?.workerBeats())) await this.beat()
  }

  /** Never rejects. */
  private beat(): Promise<void> {
    this.beating ??= this.beatOnce()
      .catch((error) => this.failed(error))
      .finally(() => {
        this.beating = undefined
      })
    return this.beating
  }

  private async beatOnce(): Promise<void> {
    this.lastBeat = new Moment()
    await this.rowBeats.beat(() => this.record(), this.times.row)
    const redis = await this.beatInRedis()
    if (this.ended) return
    const findings = findingsOf(this.record(), { redis, postgres: this.rowBeats.seen })
    if (findings) this.suspicions.take(findings.map((finding) => this.withGrace(finding)))
  }

  /** After Redis answers again, a worker has its allowed time of silence to send a heartbeat. */
  private withGrace(finding: Finding): Finding {
    if (finding.code !== 'NO_WORKER' || !this.watch?.isFresh) return finding
    return { ...finding, graceMs: Math.max(finding.graceMs, ALIVE_MS.worker) }
  }

  /** @returns undefined if Redis does not answer, refuses, or is not used */
  private async beatInRedis(): Promise<SeenProcess[] | undefined> {
    const connection = this.dependencies.redis?.connection
    if (!this.presence || !connection) return undefined
    if (!connection.ready && this.role === 'web') await within(REDIS_MS, connection.openQuietly())
    if (this.ended) return undefined // while it waited
    if (!connection.usable) {
      this.watch?.failed()
      return undefined
    }
    const counted = [...this.workers].map(({ latenessCounts }) => ({ latenessCounts, counts: latenessCounts.takeCounts() }))
    try {
      const answer = await this.presence.beat(this.record(), sumOf(counted.map(({ counts }) => counts)))
      this.redisData = answer.redisData
      this.watch?.answered(answer)
      this.seen = { processes: answer.processes, at: new Moment() }
      return answer.processes
    } catch {
      this.watch?.failed()
      for (const { latenessCounts, counts } of counted) latenessCounts.putBack(counts)
      return undefined // other commands report it
    }
  }

  /** Waits for a running heartbeat, because nobody would remove the record that it writes. */
  private async leave(): Promise<void> {
    const { redis, identity } = this.dependencies
    redis?.pulse.sendWaiting()
    if (this.beating) await within(LEAVE_MS, this.beating)
    const leaving = [this.rows.leave(identity.id)]
    if (this.presence && redis?.connection.serving) leaving.push(this.presence.leave(identity.id).catch(() => {}))
    await within(LEAVE_MS, Promise.all(leaving))
  }

  private record(): ProcessRecord {
    const { identity, redis, keys } = this.dependencies
    const { id, host, pid, startedAt } = identity
    return {
      ...{ id, host, pid, version: VERSION, holds: true, startedAt: startedAt.getTime(), role: this.role },
      redis: redis?.connection.where ?? null,
      ...(this.redisData !== undefined && { redisData: this.redisData }),
      ...(keys.agreed !== undefined && { partitions: keys.agreed }),
      rules: this.rules,
      databases: this.rows.databases(),
      ...recordOf(this.workers),
      ...recordedFaults(this.faults()),
    }
  }

  /** The present faults: those of the workers, or, without a worker, those of the timers. */
  private faults(): readonly FaultOf<string>[] {
    return this.workers.size > 0 ? [...this.workers].flatMap(({ faults }) => faults.list()) : this.dependencies.faults()
  }
}
