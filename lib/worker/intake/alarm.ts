// The alarm of one rule, in a cluster of one partition of its index: sleeps until the first timer of the due index is due, claims what is due, and passes it to the dispatcher. It needs no event.
// While it sleeps, each pulse of the worker updates when there is something to claim. Without pulses it asks by itself.

import { Loop } from '../../loop.js'
import type { RedisConnection } from '../../redis/connection.js'
import { isRedisTrouble } from '../../redis/trouble.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import type { IndexClaims } from '../settling/index-claims.js'

const TROUBLE_SLEEP_MS = 250

export class Alarm {
  readonly loop: Loop
  private readonly stopping = new AbortController()
  private endSleep: (() => void) | undefined
  private timer: NodeJS.Timeout | undefined
  /** When it ends its sleep, by `performance.now()`. */
  private wakesAt = 0
  private awake = false
  private inTrouble = false
  private ended: Promise<void> = Promise.resolve()

  constructor(
    private readonly rule: BoundRule,
    private readonly claims: IndexClaims,
    private readonly dispatcher: Dispatcher,
    private readonly connection: RedisConnection,
    /** How long it sleeps without a pulse. */
    private readonly longestSleepMs: number,
    private readonly partition = 0,
  ) {
    this.loop = new Loop(`alarm ${rule.kind}${partition === 0 ? '' : ` ${partition}`}`)
  }

  start(): void {
    this.ended = this.run()
  }

  /** Checks again at once: the index has a new first timer, or something may have been missed. */
  wake(): void {
    this.awake = true
    this.endSleep?.()
  }

  /** The result of a pulse: milliseconds until there is something to claim. A running claim will know it better; after a failure it tries again anyway. */
  found(untilNextMs: number): void {
    if (!this.endSleep || this.inTrouble) return
    this.loop.turned()
    if (untilNextMs <= 0) this.endSleep()
    else this.endSleepIn(untilNextMs)
  }

  /** An order was put back and is due again in `untilDueMs`. A running claim may not have seen it, so another claim follows. */
  putBack(untilDueMs: number): void {
    if (!this.endSleep) this.awake = true
    else if (performance.now() + untilDueMs < this.wakesAt) this.endSleepIn(untilDueMs)
  }

  /** Claims nothing more. */
  stop(): Promise<void> {
    this.stopping.abort()
    this.wake()
    return this.ended
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping
    while (!signal.aborted) {
      this.loop.rests() // the shop's code may take any time
      await this.dispatcher.free(this.rule, signal)
      if (signal.aborted) return
      this.loop.turned()
      this.awake = false
      await this.sleep(await this.claim())
    }
  }

  /** @returns milliseconds until there is something to do */
  private async claim(): Promise<number> {
    this.inTrouble = true
    if (!this.connection.usable) return TROUBLE_SLEEP_MS
    try {
      const { work, untilNextMs } = await this.claims.due(this.rule, this.dispatcher.batchSize(this.rule), this.partition)
      this.dispatcher.ruleHealth.taskSucceeded('alarm', this.rule.kind)
      void this.dispatcher.dispatch(work)
      this.inTrouble = false
      return untilNextMs
    } catch (error) {
      // If Redis does not answer, its connection reports that once; the sweep settles meanwhile.
      // One that was stopped may be of a partition that a cluster's index turned out not to have.
      if (!isRedisTrouble(error) && !this.stopping.signal.aborted) await this.dispatcher.ruleHealth.taskFailed('alarm', this.rule, error)
      return TROUBLE_SLEEP_MS
    }
  }

  private async sleep(milliseconds: number): Promise<void> {
    if (milliseconds <= 0 || this.awake) return
    await new Promise<void>((resolve) => {
      this.endSleep = resolve
      this.endSleepIn(milliseconds)
    })
    clearTimeout(this.timer)
    this.endSleep = undefined
  }

  private endSleepIn(milliseconds: number): void {
    const sleepMs = Math.min(milliseconds, this.longestSleepMs)
    this.wakesAt = performance.now() + sleepMs
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.endSleep?.(), Math.ceil(sleepMs))
  }
}
