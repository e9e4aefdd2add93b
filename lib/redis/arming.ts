// Arming for requests, which wait briefly and never fail because of Redis. Timers that Redis did not accept are kept, up to a limit, and
// armed as soon as Redis answers or accepts writes again; so are removals of timers that only Redis has. The rest is left to the sweep,
// which finds their deadlines on the rows.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Log } from '../logger.js'
import type { Armed, Meters } from '../meters.js'
import { within } from '../wait.js'
import { ArmBatches } from './arm-batches.js'
import type { RedisConnection } from './connection.js'
import type { DueIndex } from './due-index.js'
import type { LiveFeed } from './live-feed.js'
import { Outage } from './outage.js'
import { reasonOf } from './trouble.js'

/** How long a call waits in all for Redis: well below the promised 250 ms, since the process has other work too. */
export const REQUEST_WAIT_MS = 200

/**
 * A call that has used less than this of its time awaits its batch without a separate timer: the batch waits no longer than the call
 * may.
 */
const HARDLY_SPENT_MS = 10

/** How many timers are kept until Redis returns. */
const MOST_KEPT = 5_000

/** How many of them are armed at once. */
const PORTION = 500

/** The part of a rule that arming needs. Its reminders are due `beforeMs` before its deadline. */
export interface ArmedRule {
  kind: string
  reminders: readonly { kind: string; beforeMs: number }[]
}

/** How far a deadline that was read from a key's TTL may differ. */
const TOLERANCE_MS = 5

interface Kept {
  kind: string
  id: string
  /** Undefined: it is removed, unless it is armed for another deadline than `expectedMs`. */
  deadlineMs: number | undefined
  expectedMs?: number | undefined
  /** Of two calls about one timer, the later one is kept, whichever fails first. */
  turn: number
  /** There is a later call about the timer, so this one is not kept. */
  isOver?: true
}

export class Arming {
  private readonly kept = new Map<string, Kept>()
  /** By timer, the last call whose first attempt is being sent. */
  private readonly sending = new Map<string, Kept>()
  private readonly batches: ArmBatches
  private rearming = false
  private turns = 0
  /** The present faults of arming. */
  readonly outage: Outage

  constructor(
    private readonly index: DueIndex,
    connection: RedisConnection,
    private readonly log: Log,
    workers: () => number,
    private readonly meters: Meters,
    feed?: LiveFeed,
  ) {
    this.batches = new ArmBatches(async (kind, timers) => {
      await index.arm(kind, timers, REQUEST_WAIT_MS)
      this.count(kind, 'armed', timers.length)
      if (feed?.watched)
        feed.note(
          'armed',
          kind,
          timers.map(({ id, deadlineMs: ms }) => ({ id, ms })),
        )
    })
    this.outage = new Outage(connection, log, () => void this.armKept(), workers)
    connection.onUp(() => void this.armKept())
    connection.refusals.onAccepted(() => void this.armKept())
  }

  /** How many timers are kept until Redis returns. */
  get waiting(): number {
    return this.kept.size
  }

  /** Arms a timer and its reminders. @returns whether Redis has it now; what it did not accept in time is kept */
  arm({ kind, reminders }: ArmedRule, id: string, deadlineMs: number, waitMs = REQUEST_WAIT_MS): Promise<boolean> {
    const armed = this.armOne(kind, id, deadlineMs, waitMs)
    if (reminders.length === 0) return armed
    const others = reminders.map((reminder) => this.armOne(reminder.kind, id, deadlineMs - reminder.beforeMs, waitMs))
    return Promise.all(others).then(() => armed)
  }

  private async armOne(kind: string, id: string, deadlineMs: number, waitMs: number, earlier?: Kept): Promise<boolean> {
    const name = `${kind}:${id}`
    const kept = earlier ?? { kind, id, deadlineMs, turn: ++this.turns }
    const end = earlier ? undefined : this.begin(name, kept)
    const batch = this.send(kind, id, deadlineMs).then(isArmed, (error) => this.report(kind, error))
    const armed = waitMs > REQUEST_WAIT_MS - HARDLY_SPENT_MS ? await batch : await within(waitMs, batch)
    end?.()
    if (armed) return this.forget(name, kept.turn)
    if (!earlier) this.count(kind, this.keep(name, kept))
    // If Redis accepted it late, it must not be armed again: it may have been armed for another deadline since.
    void batch.then((late) => late && this.forget(name, kept.turn))
    return false
  }

  /** For rules without a deadline on the row. @throws OrderTimersError REDIS_UNAVAILABLE */
  async armOrThrow(kind: string, id: string, deadlineMs: number): Promise<void> {
    const send = () => this.send(kind, id, deadlineMs)
    await this.change(kind, id, send, () => true) // what is kept must not be sent after it
  }

  /**
   * Arms, cancels or moves a timer that only Redis has. What an earlier call has left to be armed or removed ends with that.
   * @param isDone whether it was carried out
   * @returns the result of `change`, and whether a timer was left to be armed
   */
  async change<T>(
    kind: string,
    id: string,
    change: () => Promise<T>,
    isDone: (result: T) => boolean,
  ): Promise<[result: T, wasKept: boolean]> {
    const [name, turn] = [`${kind}:${id}`, ++this.turns]
    const kept = this.kept.get(name)
    this.kept.delete(name)
    let done = false
    try {
      if (kept) await nextTurn() // it may be about to be sent: then it is sent first
      const result = await change()
      done = isDone(result) && this.forget(name, turn)
      return [result, kept?.deadlineMs !== undefined]
    } finally {
      if (kept && !done) this.keep(name, kept)
    }
  }

  private send(kind: string, id: string, deadlineMs: number): Promise<void> {
    return this.batches.add(kind, { id, deadlineMs }, this.index.partitionOf(id))
  }

  /** A call about a timer that only Redis has, and has not carried out yet. */
  keptOf(kind: string, id: string): { deadlineMs: number | undefined } | undefined {
    return this.kept.get(`${kind}:${id}`)
  }

  private begin(name: string, kept: Kept): () => void {
    this.forget(name, kept.turn)
    this.sending.set(name, kept)
    return () => void (this.sending.get(name) === kept && this.sending.delete(name))
  }

  /** What was kept until this turn is over, and what is being sent and may fail. */
  private forget(name: string, turn: number): true {
    const sent = this.sending.get(name)
    if (sent && sent.turn < turn) sent.isOver = true
    if ((this.kept.get(name)?.turn ?? turn) <= turn) this.kept.delete(name)
    return true
  }

  private keep(name: string, kept: Kept): 'kept' | 'dropped' {
    const other = this.kept.get(name)
    if (kept.isOver || (other && other.turn > kept.turn)) return 'kept'
    if (!other && this.kept.size >= MOST_KEPT) {
      this.outage.drop(MOST_KEPT)
      return 'dropped'
    }
    this.kept.set(name, kept)
    return 'kept'
  }

  /**
   * Removes a timer with a deadline on its row, and its reminders, unless it has been armed for another deadline. One that stays is
   * harmless: its row has no deadline.
   */
  async disarm({ kind, reminders }: ArmedRule, id: string, deadlineMs: number | undefined): Promise<void> {
    const ends = reminders.map(({ kind, beforeMs }) =>
      this.disarmOne(kind, id, deadlineMs === undefined ? undefined : deadlineMs - beforeMs),
    )
    await Promise.all([this.disarmOne(kind, id, deadlineMs), ...ends])
  }

  private async disarmOne(kind: string, id: string, deadlineMs: number | undefined): Promise<void> {
    this.forget(`${kind}:${id}`, ++this.turns)
    try {
      await this.index.disarm(kind, id, deadlineMs, REQUEST_WAIT_MS)
    } catch (error) {
      this.report(kind, error)
    }
  }

  /**
   * Removes a timer that only Redis has. If Redis does not do so in time, it is kept and repeated, unless the timer has another deadline
   * by then: another process may have armed it again.
   */
  async disarmAlone(kind: string, id: string, deadlineMs: number): Promise<void> {
    const name = `${kind}:${id}`
    const other = this.kept.get(name) ?? this.sending.get(name) // may have reached Redis
    const kept = { kind, id, deadlineMs: undefined, expectedMs: other ? undefined : deadlineMs, turn: ++this.turns }
    const end = this.begin(name, kept)
    if (!(await this.removeAlone(kept, undefined))) this.keep(name, kept)
    end()
  }

  private async removeAlone({ kind, id, turn }: Kept, expectedMs: number | undefined): Promise<boolean> {
    try {
      await this.index.disarm(kind, id, expectedMs, REQUEST_WAIT_MS, expectedMs === undefined ? '' : TOLERANCE_MS)
      return this.forget(`${kind}:${id}`, turn)
    } catch (error) {
      return this.report(kind, error, 'not removed now')
    }
  }

  private async armKept(): Promise<void> {
    if (this.rearming) return
    this.rearming = true
    while (this.kept.size > 0) {
      const portion = [...this.kept.values()].slice(0, PORTION)
      const armed = await Promise.all(portion.map((kept) => this.again(kept)))
      if (armed.includes(false)) break
    }
    this.rearming = false
    this.outage.taken(this.kept.size)
  }

  /** It stays kept until Redis has carried it out, or a later call about the timer ends it. */
  private again(kept: Kept): Promise<boolean> {
    const { kind, id, deadlineMs, expectedMs } = kept
    return deadlineMs === undefined ? this.removeAlone(kept, expectedMs) : this.armOne(kind, id, deadlineMs, REQUEST_WAIT_MS, kept)
  }

  private count(kind: string, result: Armed, timers = 1): void {
    this.meters.armed.add(`${kind} ${result}`, timers)
  }

  private report(kind: string, error: unknown, what = 'not armed or removed now, the row has the deadline'): false {
    this.outage.notTaken(error)
    const { code, message } = (reasonOf(error) ?? error) as { code?: string; message?: string }
    this.log('debug', `${kind}: ${what}`, { kind, code, error: message })
    return false
  }
}

const isArmed = (): boolean => true
