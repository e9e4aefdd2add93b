// Writes that Redis refuses (its memory is full, it cannot save, this user may not): noticed where answers come in, and over only when a
// write succeeds that needs what was refused. While something is refused a write that leaves nothing behind is tried each second.

import { isServerWide, replyRemedy, replyWord } from './replies.js'

/** What a command's success proves: that Redis writes, also where that takes memory; nothing, since it may not have written. */
export type Proof = 'memory' | 'write' | undefined

/** A command whose refusal is noted. */
export interface Operation<T = unknown> {
  /** What it does, and of which kind, such as `claim order_confirm`. */
  what: string
  proves(answer: T): Proof
}

export interface Refusal {
  /** The first word of Redis's answer, such as `OOM`. */
  word: string
  /** What was refused, such as `claim order_confirm`. */
  what: string
  error: Error
  remedy: string | undefined
}

const PROBE_EVERY_MS = 1_000

/** It is not over while refusals still come in, as where memory is full at times. */
const QUIET_MS = 900

/** What concerns some writes alone (a right, a key's type) is over when the probe succeeds and none was refused for so long. */
const LONG_QUIET_MS = 5_000

export class Refusals {
  /** Tries a write; set by the due index. */
  probe: (() => Promise<unknown>) | undefined
  private readonly refused = new Map<string, Refusal & { at: number }>()
  private readonly refusedListeners = new Set<(refusal: Refusal) => void>()
  private readonly acceptedListeners = new Set<() => void>()
  private timer: NodeJS.Timeout | undefined

  /** What is refused at present, the first of it. */
  get present(): Refusal | undefined {
    const [first] = this.refused.values()
    return first
  }

  /** Called when a write is refused after none was; at once, where one is refused already. */
  onRefused(listener: (refusal: Refusal) => void): () => void {
    this.refusedListeners.add(listener)
    if (this.present) listener(this.present)
    return () => this.refusedListeners.delete(listener)
  }

  /** Called when writes succeed again. */
  onAccepted(listener: () => void): () => void {
    this.acceptedListeners.add(listener)
    return () => this.acceptedListeners.delete(listener)
  }

  /** Redis refused this. */
  note(what: string, error: Error): void {
    const isNew = this.refused.size === 0
    const refusal = { word: replyWord(error), what, error, remedy: replyRemedy(error) }
    this.refused.set(what, { ...refusal, at: performance.now() })
    if (!isNew) return
    this.timer = setInterval(() => void this.tryAgain(), PROBE_EVERY_MS)
    this.timer.unref()
    for (const listener of this.refusedListeners) listener(refusal)
  }

  /** Redis did this. */
  accept(what: string, proof: Proof): void {
    if (this.refused.size === 0 || proof === undefined) return
    this.forget(QUIET_MS, (one) => (one.what === what || isServerWide(one.word)) && (one.word !== 'OOM' || proof === 'memory'))
  }

  /** Forgets what was refused: there is no connection any more to ask. */
  stop(): void {
    clearInterval(this.timer)
    this.refused.clear()
    this.refusedListeners.clear()
    this.acceptedListeners.clear()
  }

  private async tryAgain(): Promise<void> {
    try {
      await this.probe?.()
    } catch {
      return // noted where the answer came in
    }
    this.forget(LONG_QUIET_MS, () => true)
  }

  private forget(quietMs: number, which: (refusal: Refusal) => boolean): void {
    const quietSince = performance.now() - quietMs
    for (const [what, refusal] of this.refused) if (refusal.at <= quietSince && which(refusal)) this.refused.delete(what)
    if (this.refused.size > 0 || !this.timer) return
    clearInterval(this.timer)
    this.timer = undefined
    for (const listener of this.acceptedListeners) listener()
  }
}
