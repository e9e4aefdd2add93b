// Whether any worker of this prefix reads overdue orders. Another worker's lock means that it is reading. A lock of any other
// session, held for three intervals, is a fault, reported with that session.

import { setTimeout as delay } from 'node:timers/promises'
import type { Sequelize, Transaction } from 'sequelize'
import { Moment } from '../../moment.js'
import type { SweepMarks } from '../../redis/sweep-marks.js'
import { describeHolder, holdersOf, type LockHolder } from '../../rows/sweep-lock.js'
import type { Faults } from '../faults.js'

/** Who read last: this worker, or another one of the same prefix. */
export type Reader = 'this worker' | 'another worker'

/** How often the lock is checked for another holder, if Redis does not know who has read. */
const LOOKS = 6
const LOOK_EVERY_MS = 250

interface Read {
  by: Reader
  at: Date
  moment: Moment
}

/** A rule's lock, and a way to look at it. */
export interface Locked {
  kind: string
  lock: string
  sequelize: Sequelize
  transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>
}

export class SweepReads {
  private readonly started = new Moment()
  private readonly reads = new Map<string, Read>()
  private readonly blockedKinds = new Set<string>()

  constructor(
    /** The workers' records in Redis that they have read; undefined with `redis: false`. */
    private readonly marks: SweepMarks | undefined,
    private readonly faults: Faults,
    /** How long ago the run three intervals before the latest one began; undefined if there were fewer. */
    private readonly threeIntervalsMs: () => number | undefined,
  ) {}

  /** The oldest of the rules' last readings, and its reader; undefined while one was never read. */
  last(kinds: Iterable<string>): { at: Date; by: Reader } | undefined {
    let last: Read | undefined
    for (const kind of kinds) {
      const read = this.reads.get(kind)
      if (!read) return undefined
      if (!last || read.at < last.at) last = read
    }
    return last && { at: last.at, by: last.by }
  }

  /** Whether rules wait for a lock of a session that is not a worker. */
  get blocked(): boolean {
    return this.blockedKinds.size > 0
  }

  /** When any worker last read the rule, as far as this one knows; before the first time, when this worker started. */
  lastLook(kind: string): Moment {
    return this.reads.get(kind)?.moment ?? this.started
  }

  /** This worker has read what is overdue. */
  async read(kind: string): Promise<void> {
    this.note(kind, 'this worker', 0)
    await this.marks?.note(kind)
  }

  /** Records how many orders of a rule have no deadline, for other processes. Never rejects. */
  async undated(kind: string, count: number): Promise<void> {
    await this.marks?.noteUndated(kind, count)
  }

  /** Another session held the lock, so nothing was read. */
  async heldUp(locked: Locked): Promise<void> {
    const { kind } = locked
    const ageMs = await this.marks?.age(kind)
    if (ageMs !== undefined) this.noteOther(kind, ageMs)
    const unreadMs = (this.reads.get(kind)?.moment ?? this.started).passedMs()
    const longestMs = this.threeIntervalsMs()
    if (longestMs === undefined || unreadMs <= longestMs) return
    if (await this.changesHands(locked)) this.noteOther(kind, 0)
    else this.raise(kind, unreadMs, await this.holders(locked))
  }

  private raise(kind: string, unreadMs: number, holders: readonly LockHolder[]): void {
    this.blockedKinds.add(kind)
    const [holder] = holders
    const who = holder ? `it is held by ${describeHolder(holder)}` : 'who held it has just let it go'
    const seconds = Math.round(unreadMs / 1_000)
    this.faults.raise('SWEEP_BLOCKED', {
      kind,
      message: `${kind}: no worker could read what is overdue for ${seconds} s, since another session holds the sweep's lock: ${who}`,
      ...(holder && { remedy: `end that transaction (SELECT pg_terminate_backend(${holder.pid}))` }),
    })
  }

  private noteOther(kind: string, ageMs: number): void {
    const known = this.reads.get(kind)
    if (known && known.moment.passedMs() <= ageMs) return
    this.note(kind, 'another worker', ageMs)
  }

  private note(kind: string, by: Reader, ageMs: number): void {
    const longestMs = this.threeIntervalsMs()
    this.reads.set(kind, { by, at: new Date(Date.now() - ageMs), moment: new Moment(ageMs) })
    if (longestMs !== undefined && ageMs > longestMs) return
    this.blockedKinds.delete(kind)
    this.faults.clear('SWEEP_BLOCKED', kind)
  }

  /** A worker holds the lock only while it reads a page. A session that blocks the sweep has it at every check. */
  private async changesHands(locked: Locked): Promise<boolean> {
    const first = await this.holders(locked)
    for (let looks = 1; looks < LOOKS; looks += 1) {
      const pids = (await this.holders(locked)).map(({ pid }) => pid)
      if (!first.some(({ pid }) => pids.includes(pid))) return true
      await delay(LOOK_EVERY_MS)
    }
    return false
  }

  private holders({ sequelize, lock, transact }: Locked): Promise<LockHolder[]> {
    return transact((transaction) => holdersOf(sequelize, lock, transaction))
  }
}
