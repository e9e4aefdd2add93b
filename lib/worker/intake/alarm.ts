// The alarm of one kind: sleeps until the head of the due index is due, claims what is due, and hands it to the dispatcher. It waits
// for no event. It never sleeps for as long as a second, so no timeout overflows, and a lost wake, or lost data, is noticed within one.

import type { RedisConnection } from '../../redis/connection.js'
import { isRedisTrouble } from '../../redis/trouble.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import type { IndexClaims } from '../settling/index-claims.js'

const LONGEST_SLEEP_MS = 800
const TROUBLE_SLEEP_MS = 250

export class Alarm {
  private readonly stopping = new AbortController()
  private rouse: (() => void) | undefined
  private roused = false
  private ended: Promise<void> = Promise.resolve()

  constructor(
    private readonly rule: BoundRule,
    private readonly claims: IndexClaims,
    private readonly dispatcher: Dispatcher,
    private readonly connection: RedisConnection,
  ) {}

  start(): void {
    this.ended = this.run()
  }

  /** The index has an earlier head, or something may have been missed. */
  wake(): void {
    this.roused = true
    this.rouse?.()
  }

  /** Claims nothing any more. */
  stop(): Promise<void> {
    this.stopping.abort()
    this.wake()
    return this.ended
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping
    while (!signal.aborted) {
      await this.dispatcher.free(this.rule, signal)
      if (signal.aborted) return
      this.roused = false
      await this.sleep(await this.claim())
    }
  }

  /** @returns how long there is nothing to do */
  private async claim(): Promise<number> {
    if (!this.connection.usable) return TROUBLE_SLEEP_MS
    try {
      const { work, untilNextMs } = await this.claims.due(this.rule, this.dispatcher.batchSize(this.rule))
      this.dispatcher.ruleHealth.taskSucceeded('alarm', this.rule.kind)
      void this.dispatcher.dispatch(work)
      return Math.min(untilNextMs, LONGEST_SLEEP_MS)
    } catch (error) {
      // Where Redis does not answer the worker says so, once; the sweep carries on meanwhile.
      if (!isRedisTrouble(error)) await this.dispatcher.ruleHealth.taskFailed('alarm', this.rule, error)
      return TROUBLE_SLEEP_MS
    }
  }

  private async sleep(milliseconds: number): Promise<void> {
    if (milliseconds <= 0 || this.roused) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.ceil(milliseconds))
      this.rouse = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.rouse = undefined
  }
}
