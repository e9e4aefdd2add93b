// Proves that expiry events arrive: sets a key with a short TTL and waits for its event. It needs no CONFIG right, and it notices what causes
// no error: notifications switched off at run time, a lost subscription.

import type { RedisConnection } from '../../redis/connection.js'
import type { Operation } from '../../redis/refusals.js'
import { afterRunning } from '../../wait.js'

const EVERY_MS = 1_500
const TTL_MS = 20
const WAIT_MS = 700

/** How long the control key lives: longer than the probe waits. */
const CONTROL_TTL_MS = 1_000

const WRITE: Operation = { what: 'expiry probe', proves: () => 'memory' }

export class ExpiryProbe {
  /** Whether the last probe's event arrived; undefined before the first result. */
  proved: boolean | undefined
  private timer: NodeJS.Timeout | undefined
  private arrived: (() => void) | undefined
  private sending: Promise<void> | undefined
  private missed = 0
  private readonly controlKey: string

  /**
   * @param key the probe's key, of this worker alone
   * @param onResult called with each result that proves something
   */
  constructor(
    private readonly key: string,
    private readonly connection: RedisConnection,
    private readonly subscriber: { readonly subscribed: boolean },
    private readonly onResult: (proved: boolean) => void,
  ) {
    this.controlKey = `${key}:control`
  }

  start(): void {
    this.timer = setInterval(() => void this.send(), EVERY_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.timer)
    this.arrived?.()
    await this.sending
  }

  /** Discards the result: it was about another connection or another server. */
  forget(): void {
    this.proved = undefined
    this.missed = 0
  }

  /** Takes an expired key's name. @returns whether it is one of the probe's own keys */
  takes(name: string): boolean {
    if (name === this.controlKey) return true
    if (name !== this.key) return false
    this.arrived?.()
    return true
  }

  /** Sends one probe, or waits for the one that is under way. Never rejects. */
  send(): Promise<void> {
    this.sending ??= this.probe().finally(() => {
      this.sending = undefined
    })
    return this.sending
  }

  private get isListening(): boolean {
    return this.subscriber.subscribed && this.connection.fit
  }

  private async probe(): Promise<void> {
    if (!this.isListening) return
    let endLimit = () => {}
    const arrival = new Promise<boolean>((resolve) => {
      this.arrived = () => resolve(true)
      endLimit = afterRunning(WAIT_MS, () => resolve(false))
    })
    try {
      await this.connection.ask((client) => client.set(this.controlKey, '1', 'PX', CONTROL_TTL_MS), WRITE)
      await this.connection.ask((client) => client.set(this.key, '1', 'PX', TTL_MS), WRITE)
      await new Promise((resolve) => setTimeout(resolve, TTL_MS + 2))
      // Touching an expired key makes Redis publish its event at once. If the control key is missing too, both were flushed: no proof of anything.
      const left = await this.connection.ask((client) => client.exists(this.key, this.controlKey))
      if ((await arrival) || left > 0) this.judge(await arrival)
    } catch {
      // Redis does not answer, or refuses the write. Its connection reports that; nothing is known about events.
    } finally {
      endLimit()
      this.arrived = undefined
    }
  }

  /** One missing event may have been lost with a connection, so only the second in a row counts. */
  private judge(hasArrived: boolean): void {
    this.missed = hasArrived ? 0 : this.missed + 1
    if (!this.isListening || (!hasArrived && this.missed < 2)) return
    this.proved = hasArrived
    this.onResult(hasArrived)
  }
}
