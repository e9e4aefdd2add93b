// One call about one order: schedule, extend, cancel, pause, resume, remaining or retry. The row is written first, in the shop's transaction, and
// Redis gets the timer after the commit. If the row has the deadline, a call succeeds even if Redis does not answer.

import type { Model, Transaction } from 'sequelize'
import { parseDuration, parseInstant } from '../duration.js'
import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'
import { REQUEST_WAIT_MS } from '../redis/arming.js'
import { clockOnce } from '../rows/after.js'
import type { NewDeadline } from '../rows/deadline-sql.js'
import type { ColumnDeadline, RowRule, SinceDeadline } from '../rows/row-rule.js'
import type { RowState } from '../rows/timer-state.js'
import type { ShopRule } from '../rules/rule.js'
import { afterCommit, leftInTransaction } from '../sequelize/after-commit.js'
import { LOCK_WAIT_MS, REDIS_SHARE_MS, withinCall } from '../sequelize/call-connection.js'
import { callTransaction } from '../sequelize/call-transaction.js'
import { isWhole, refresh, storedValue } from '../sequelize/values.js'
import type { OrderOrId, ScheduleOptions, Timer } from '../types.js'
import { within } from '../wait.js'
import { noTimer, refuseGivenDeadline, refuseSince, requirePausable } from './allowed-calls.js'
import { NO_LETTERS } from './dead-letters.js'
import { orderOf } from './order-id.js'
import type { Runtime, RuntimeRedis } from './runtime.js'

/** Redis gets this much time, however long Postgres took. */
const LEAST_REDIS_WAIT_MS = 20

export class Call {
  private readonly rule: ShopRule
  private readonly id: string
  private readonly instance: Model | undefined
  private readonly transaction: Transaction | undefined
  private readonly startedAt = performance.now()

  constructor(
    private readonly runtime: Runtime,
    private readonly kind: string,
    order: OrderOrId,
    private readonly options: ScheduleOptions,
    known: readonly string[] = ['transaction'],
  ) {
    this.rule = runtime.rule(kind)
    refuseUnknownOptions(`orderTimers: ${kind}`, options, known)
    const about = orderOf(this.rule, order)
    this.id = about.id
    this.instance = about.instance
    const { sequelize } = this.rule.row?.guard.table ?? {}
    this.transaction = callTransaction(`orderTimers: ${kind}`, options.transaction, sequelize)
  }

  async schedule(): Promise<Timer> {
    const { row } = this.rule
    if (this.options.after !== undefined && this.options.at !== undefined) {
      throw new OrderTimersError('INVALID_DEADLINE', `orderTimers: ${this.kind}: give "after" or "at", not both`)
    }
    if (row?.deadline.in === 'since') return this.arm(await this.sinceDeadline(row, row.deadline))
    if (row?.deadline.in === 'column') {
      const { afterOf } = row.deadline
      const isAsked = afterOf !== undefined && this.options.after === undefined && this.options.at === undefined
      return this.write(row, row.deadline, isAsked ? await this.deadlineOf(row, afterOf) : this.givenDeadline())
    }
    const value = this.givenDeadline()
    if (row) await this.requireInFrom(row)
    const redis = this.requireRedis()
    return this.armInRedisAlone(redis, 'atMs' in value ? value.atMs : (await redis.clock.nowFor(this.id)) + value.afterMs)
  }

  async extend(by: unknown): Promise<Timer> {
    const byMs = parseDuration(`orderTimers: ${this.kind}: "by"`, by)
    const row = refuseSince(this.rule, 'extend')
    if (row?.deadline.in === 'column') return this.write(row, row.deadline, { byMs })
    const redis = this.requireRedis()
    if (this.transaction || redis.arming.keptOf(this.kind, this.id))
      return this.armInRedisAlone(redis, (await this.knownDeadline(redis, 'extend')) + byMs)
    const postpone = () => redis.index.postpone(this.kind, this.id, byMs, REQUEST_WAIT_MS)
    const [deadline] = await redis.arming.change(this.kind, this.id, postpone, (after) => after !== undefined)
    if (deadline === undefined) throw noTimer(this.kind, this.id, 'extend')
    return this.timer(deadline, true)
  }

  async cancel(): Promise<Timer> {
    const row = refuseSince(this.rule, 'cancel')
    if (row?.deadline.in === 'column') return this.write(row, row.deadline, null)
    const redis = this.requireRedis()
    if (this.transaction) {
      const deadline = await this.knownDeadline(redis, 'cancel')
      this.afterCommit(redis, () => redis.arming.disarmAlone(this.kind, this.id, deadline), null)
      return this.timer(null, 'on commit')
    }
    const disarm = () => redis.index.disarm(this.kind, this.id, undefined, REQUEST_WAIT_MS)
    const [removed, wasKept] = await redis.arming.change(this.kind, this.id, disarm, () => true)
    if (!removed && !wasKept) throw noTimer(this.kind, this.id, 'cancel')
    return this.timer(null, false)
  }

  async pause(): Promise<Timer> {
    const { row, deadline } = requirePausable(this.rule, 'pause')
    return this.write(row, deadline, 'pause')
  }

  async resume(): Promise<Timer> {
    const { row, deadline } = requirePausable(this.rule, 'resume')
    return this.write(row, deadline, 'resume')
  }

  async remaining(): Promise<number | null> {
    const { row } = this.rule
    if (row && row.deadline.in !== 'redis') {
      const state = await this.read(row)
      return state.inFrom ? state.remainingMs : null
    }
    if (row && !(await this.readBeforeRedis(row)).inFrom) return null
    const redis = this.requireRedis()
    const deadline = await redis.index.deadline(this.kind, this.id, REQUEST_WAIT_MS)
    return deadline === undefined ? null : Math.max(0, deadline - (await redis.clock.nowFor(this.id)))
  }

  async retry(): Promise<void> {
    const revived = await this.requireRedis(NO_LETTERS).failures.revive(this.kind, [this.id], REQUEST_WAIT_MS)
    if (revived.has(this.id)) return
    throw new OrderTimersError('NO_TIMER', `orderTimers: ${this.kind}: ${show(this.id)} is no dead letter; dead() lists those that are`)
  }

  private read(row: RowRule): Promise<RowState> {
    return this.query(row, (transaction) => row.states.read(this.id, transaction))
  }

  /** Reserves a part of the call's time for Redis. */
  private readBeforeRedis(row: RowRule): Promise<RowState> {
    return this.query(row, (transaction) => row.states.read(this.id, transaction), REDIS_SHARE_MS)
  }

  /** In the shop's transaction, or on a connection of the call's own with a time limit. */
  private query<T>({ guard }: RowRule, work: (transaction: Transaction) => Promise<T>, keptMs = 0): Promise<T> {
    return withinCall(guard.table.sequelize, this.transaction, this.startedAt - keptMs, work)
  }

  /** Writes the row's deadline, refreshes the instance, and arms or disarms after the commit. */
  private async write(row: RowRule, { writes }: ColumnDeadline, value: NewDeadline): Promise<Timer> {
    const { before, deadline, attributes } = await this.query(row, (transaction) => writes.write(this.id, value, transaction))
    if (this.instance) refresh(this.instance, attributes)
    if (deadline !== null) return this.arm(deadline)
    await this.onceCommitted(async (redis) => {
      if (before !== null) await within(this.redisWaitMs(), redis.arming.disarm(this.rule, this.id, before))
      return false
    }, null)
    return this.timer(null, false)
  }

  private async arm(deadlineMs: number): Promise<Timer> {
    const arm = (redis: RuntimeRedis) => redis.arming.arm(this.rule, this.id, deadlineMs, this.redisWaitMs())
    return this.timer(deadlineMs, await this.onceCommitted(arm, deadlineMs))
  }

  /** Throws if Redis does not accept the timer, since nothing else has it. */
  private async armInRedisAlone(redis: RuntimeRedis, deadlineMs: number): Promise<Timer> {
    if (this.transaction) return this.arm(deadlineMs)
    await redis.arming.armOrThrow(this.rule.kind, this.id, deadlineMs)
    return this.timer(deadlineMs, true)
  }

  /** How long the call may still wait for Redis once its row is written. After a commit it is the whole time again. */
  private redisWaitMs(): number {
    const spentMs = this.transaction ? 0 : performance.now() - this.startedAt
    return Math.max(LEAST_REDIS_WAIT_MS, REQUEST_WAIT_MS - spentMs)
  }

  /** Now, or once the shop's transaction has committed. @param deadlineMs what it leaves; null for no timer */
  private onceCommitted(
    work: (redis: RuntimeRedis) => Promise<boolean>,
    deadlineMs: number | null,
  ): Promise<boolean> | false | 'on commit' {
    const { redis } = this.runtime
    if (!redis) return false
    if (!this.transaction) return work(redis)
    this.afterCommit(redis, () => work(redis), deadlineMs)
    return 'on commit'
  }

  private afterCommit(redis: RuntimeRedis, work: () => Promise<unknown>, deadlineMs: number | null): void {
    afterCommit(this.transaction as Transaction, async () => void (await work()), { name: this.nameOf(redis), deadlineMs })
  }

  private nameOf({ index }: RuntimeRedis): string {
    return index.keys.timer(this.kind, this.id)
  }

  private async sinceDeadline(row: RowRule, deadline: SinceDeadline): Promise<number> {
    refuseGivenDeadline(this.kind, deadline, this.options)
    const since = this.instance && storedValue(this.instance, deadline.attribute)
    if (since instanceof Date && row.states.saysInFrom(this.instance as Model)) {
      const instants = deadline.requireInstants(this.transaction)
      if (instants) await within(LOCK_WAIT_MS, instants)
      return since.getTime() + deadline.afterMs
    }
    const state = await this.read(row)
    if (!state.inFrom || state.deadline === null) throw row.states.notInFrom(this.id, state)
    return state.deadline
  }

  /** If `after` is a function, it is called with the order. Null: the order has no deadline. */
  private async deadlineOf(row: RowRule, afterOf: NonNullable<ColumnDeadline['afterOf']>): Promise<NewDeadline> {
    const order =
      this.instance && isWhole(this.instance) ? this.instance : await this.query(row, (transaction) => row.find(this.id, transaction))
    if (!order) throw row.states.notFound(this.id)
    return afterOf.ask(order, () => this.query(row, async (transaction) => clockOnce(row.guard.table.sequelize, transaction)()))
  }

  private givenDeadline(): { afterMs: number } | { atMs: number } {
    const { after, at } = this.options
    if (at !== undefined) return { atMs: parseInstant(`orderTimers: ${this.kind}: "at"`, at) }
    const afterMs = this.rule.row?.deadline.afterMs
    if (after === undefined && afterMs !== undefined) return { afterMs }
    return { afterMs: parseDuration(`orderTimers: ${this.kind}: "after"`, after) }
  }

  private async requireInFrom(row: RowRule): Promise<void> {
    const state = await this.readBeforeRedis(row)
    if (!state.inFrom) throw row.states.notInFrom(this.id, state)
  }

  /** A deadline only in Redis, as earlier calls leave it that Redis does not have yet. @throws OrderTimersError NO_TIMER */
  private async knownDeadline(redis: RuntimeRedis, call: string): Promise<number> {
    const left = this.transaction && leftInTransaction(this.transaction, this.nameOf(redis))
    const known = left ?? redis.arming.keptOf(this.kind, this.id)
    const deadline = known ? known.deadlineMs : await redis.index.deadline(this.kind, this.id, REQUEST_WAIT_MS)
    if (deadline == null) throw noTimer(this.kind, this.id, call)
    return deadline
  }

  private requireRedis(remedy?: string): RuntimeRedis {
    return this.runtime.requireRedis(this.kind, remedy)
  }

  private timer(deadlineMs: number | null, armed: boolean | 'on commit'): Timer {
    return { kind: this.kind, id: this.id, deadline: deadlineMs === null ? null : new Date(deadlineMs), armed }
  }
}
