// Writes that Redis refuses (its memory is full, it cannot save, this user lacks the right). Replies show a refusal, and it is
// over when a write of the same kind succeeds. Meanwhile a test write that leaves nothing behind is tried each second.

import { Listeners } from '../listeners.js'
import { isServerWide, replyRemedy, replyWord } from './replies.js'

/**
 * What a command's success proves: that Redis accepts writes that need memory, or other writes; or nothing, since it may not have written.
 */
export type Proof = 'memory' | 'write' | undefined

/** A command whose refusal is recorded. */
export interface Operation<T = unknown> {
  /** What it does, and of which kind, such as `claim order_confirm`. */
  what: string
  /** The partition of a cluster's index; left out for the first, and on one server. */
  partition?: number
  proves(answer: T): Proof
}

export interface Refusal {
  /** The first word of Redis's answer, such as `OOM`. */
  word: string
  /** What was refused, such as `claim order_confirm`. */
  what: string
  partition: number
  error: Error
  remedy: string | undefined
}

const PROBE_EVERY_MS = 1_000

/** A refusal is over once nothing has been refused for this long: memory may be full only at times. */
const QUIET_MS = 900

/** The same for refusals of only some writes (a right, a key's type), which a successful test write does not disprove. */
const LONG_QUIET_MS = 5_000

export class Refusals {
  /** The test write, in this partition or, if none is given, in all. The due index sets it. */
  probe: ((partition?: number) => Promise<unknown>) | undefined
  /** The partitions. The due index sets it. */
  partitions: () => readonly number[] = () => [0]
  /** In a cluster, one node's success proves nothing about another. The due index sets it. */
  isParted = false
  /** Partitions whose test write has no answer yet: their node may be down. */
  private readonly probing = new Set<number>()
  private readonly refused = new Map<string, Refusal & { at: number }>()
  private readonly refusedListeners = new Listeners<[refusal: Refusal]>()
  private readonly acceptedListeners = new Listeners()
  private timer: NodeJS.Timeout | undefined

  /** The first present refusal. */
  get present(): Refusal | undefined {
    const [first] = this.refused.values()
    return first
  }

  /** Called when a write is refused after none was; at once if one is already refused. @returns a function that ends it */
  onRefused(listener: (refusal: Refusal) => void): () => void {
    const remove = this.refusedListeners.add(listener)
    if (this.present) listener(this.present)
    return remove
  }

  /** Called when writes succeed again. @returns a function that ends it */
  onAccepted(listener: () => void): () => void {
    return this.acceptedListeners.add(listener)
  }

  /** Redis refused an operation. */
  note({ what, partition = 0 }: Pick<Operation, 'what' | 'partition'>, error: Error): void {
    const isNew = this.refused.size === 0
    const refusal = { word: replyWord(error), what, partition, error, remedy: replyRemedy(error) }
    this.refused.set(what, { ...refusal, at: performance.now() })
    if (!isNew) return
    this.timer = setInterval(() => this.tryAgain(), PROBE_EVERY_MS)
    this.timer.unref()
    this.refusedListeners.call(refusal)
  }

  /** Redis carried out an operation. */
  accept(what: string, proof: Proof): void {
    if (this.refused.size === 0 || proof === undefined) return
    this.forget(
      QUIET_MS,
      (one) => (one.what === what || (isServerWide(one.word) && !this.isParted)) && (one.word !== 'OOM' || proof === 'memory'),
    )
  }

  /** Ends the test writes and forgets the refusals. */
  stop(): void {
    clearInterval(this.timer)
    this.refused.clear()
    this.refusedListeners.clear()
    this.acceptedListeners.clear()
  }

  /** In every partition, not only the one of the refusal: the refused key may have been a timer's own key, on another node. */
  private tryAgain(): void {
    for (const partition of this.partitions()) if (!this.probing.has(partition)) void this.tryIn(partition)
  }

  private async tryIn(partition: number): Promise<void> {
    this.probing.add(partition)
    try {
      await this.probe?.(partition)
    } catch {
      return // recorded when the answer arrived
    } finally {
      this.probing.delete(partition)
    }
    this.forget(LONG_QUIET_MS, (one) => one.partition === partition)
  }

  private forget(quietMs: number, which: (refusal: Refusal) => boolean): void {
    const quietSince = performance.now() - quietMs
    for (const [what, refusal] of this.refused) if (refusal.at <= quietSince && which(refusal)) this.refused.delete(what)
    if (this.refused.size > 0 || !this.timer) return
    clearInterval(this.timer)
    this.timer = undefined
    this.acceptedListeners.call()
  }
}
