// Proves that expiry events arrive: each pulse of the worker sets a key with a short TTL and touches the key of the previous pulse, whose event
// must arrive. It needs no CONFIG right, and it notices problems without an error: notifications switched off at run time, a lost subscription.

import type { PulseAnswer } from '../../redis/pulse.js'
import { afterRunning } from '../../wait.js'

/** How long a key's event may take after the touch. */
const WAIT_MS = 700

export interface ExpiryProbeDependencies {
  /** The probe's key, for this worker only. In a cluster it changes when its slot moves. */
  key(): string
  /** How long the control key lives: longer than the interval of two pulses. */
  controlTtlMs: number
  /** Whether the worker is subscribed to expiry events, on a server that can serve. */
  isListening(): boolean
  /** Called with each result that proves something. */
  onResult(proved: boolean): void
}

export class ExpiryProbe {
  /** Whether the last probe's event arrived; undefined before the first result. */
  proved: boolean | undefined
  /** Resolves when the awaited event has arrived, or the wait is over. */
  judged: Promise<void> = Promise.resolve()
  /** A pulse has set the key. */
  private isSet = false
  /** Its event has come since the last pulse. */
  private hasArrived = false
  private endWait: (() => void) | undefined
  private missed = 0
  private stopped = false

  constructor(private readonly dependencies: ExpiryProbeDependencies) {}

  get keys() {
    const key = this.dependencies.key()
    return { key, control: `${key}:control`, controlTtlMs: this.dependencies.controlTtlMs }
  }

  stop(): void {
    this.stopped = true
    this.endWait?.()
  }

  /** Discards the result: it belongs to another connection or server. */
  forget(): void {
    this.proved = undefined
    this.missed = 0
    this.isSet = false
  }

  /** Takes an expired key's name. @returns whether it is one of the probe's own keys */
  takes(name: string): boolean {
    const { key, control } = this.keys
    if (name === control) return true
    if (name !== key) return false
    this.hasArrived = true
    this.endWait?.()
    return true
  }

  /**
   * A pulse was answered: it has touched the key of the previous pulse, which made Redis publish the event at once, and has set it again. If the
   * control key is missing too, both were flushed, which proves nothing.
   */
  answered({ isRefused, isSet, hasControl }: PulseAnswer['probe']): void {
    if (isSet || this.endWait || this.stopped) return
    const wasSet = this.isSet
    this.isSet = !isRefused && this.dependencies.isListening()
    const { hasArrived } = this
    this.hasArrived = false
    if (!wasSet) return
    if (hasArrived) this.judge(true)
    else if (hasControl) this.judged = this.waitForEvent()
  }

  private async waitForEvent(): Promise<void> {
    let endLimit = () => {}
    const arrival = new Promise<boolean>((resolve) => {
      this.endWait = () => resolve(this.hasArrived)
      endLimit = afterRunning(WAIT_MS, () => resolve(false))
    })
    const hasArrived = await arrival
    endLimit()
    this.endWait = undefined
    this.hasArrived = false
    if (!this.stopped) this.judge(hasArrived)
  }

  /** A single missing event may have been lost with a connection, so only the second in a row counts. */
  private judge(hasArrived: boolean): void {
    if (!this.dependencies.isListening()) return
    this.missed = hasArrived ? 0 : this.missed + 1
    if (!hasArrived && this.missed < 2) return
    this.proved = hasArrived
    this.dependencies.onResult(hasArrived)
  }
}
