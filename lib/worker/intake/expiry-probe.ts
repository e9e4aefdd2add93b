// The proof that expiry events arrive: a short key of our own whose event must come back. It needs no CONFIG right, and it sees what no
// error tells: notifications switched off while running, a subscription lost.

import type { RedisConnection } from '../../redis/connection.js'
import type { Operation } from '../../redis/refusals.js'
import { afterRunning } from '../../wait.js'

const EVERY_MS = 1_500
const TTL_MS = 20
const PATIENCE_MS = 700

/** A key beside the canary that outlives it. */
const WITNESS_MS = 1_000

const WRITE: Operation = { what: 'canary', proves: () => 'memory' }

export class Canary {
  /** Whether the last canary came back; undefined before the first. */
  proved: boolean | undefined
  private timer: NodeJS.Timeout | undefined
  private sung: (() => void) | undefined
  private flying: Promise<void> | undefined
  private missed = 0
  private readonly witness: string

  constructor(
    private readonly key: string,
    private readonly connection: RedisConnection,
    private readonly listening: () => boolean,
    private readonly onJudged: (proved: boolean) => void,
  ) {
    this.witness = `${key}:witness`
  }

  start(): void {
    this.timer = setInterval(() => void this.fly(), EVERY_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.timer)
    this.sung?.()
    await this.flying
  }

  /** What was proved is not known any more: another connection, or another server. */
  forget(): void {
    this.proved = undefined
    this.missed = 0
  }

  /** Whether this expired key is the canary, or its witness. */
  takes(name: string): boolean {
    if (name === this.witness) return true
    if (name !== this.key) return false
    this.sung?.()
    return true
  }

  /** One proof. Never rejects. */
  fly(): Promise<void> {
    this.flying ??= this.prove().finally(() => {
      this.flying = undefined
    })
    return this.flying
  }

  private async prove(): Promise<void> {
    if (!this.listening()) return
    let endLimit = () => {}
    const heard = new Promise<boolean>((resolve) => {
      this.sung = () => resolve(true)
      endLimit = afterRunning(PATIENCE_MS, () => resolve(false))
    })
    try {
      await this.connection.ask((client) => client.set(this.witness, '1', 'PX', WITNESS_MS), WRITE)
      await this.connection.ask((client) => client.set(this.key, '1', 'PX', TTL_MS), WRITE)
      await new Promise((resolve) => setTimeout(resolve, TTL_MS + 2))
      // Touched after its time, Redis publishes it at once. Where the witness is gone as well, somebody has flushed both: no proof of anything.
      const left = await this.connection.ask((client) => client.exists(this.key, this.witness))
      if ((await heard) || left > 0) this.judge(await heard)
    } catch {
      // Redis does not answer, or refuses the write, which its connection notes: no word about events
    } finally {
      endLimit()
      this.sung = undefined
    }
  }

  /** One that did not come back may have been lost with a connection; two have not. */
  private judge(heard: boolean): void {
    this.missed = heard ? 0 : this.missed + 1
    if (!this.listening() || (!heard && this.missed < 2)) return
    this.proved = heard
    this.onJudged(heard)
  }
}
