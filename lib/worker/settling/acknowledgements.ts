// Messages to Redis about the beginning or the end of a claim that were not answered or were refused. Whether Redis carried them out is unknown,
// so a message that is safe to repeat is sent before the next claim. After the lease's time it is dropped: the claim has expired.

import { Moment } from '../../moment.js'

interface Unanswered {
  retry(): Promise<unknown>
  sentAt: Moment
  leaseMs: number
}

export class Acknowledgements {
  /** By the claim's token. */
  private readonly unanswered = new Map<string, Unanswered>()
  private retrying: Promise<unknown> | undefined

  /**
   * @param retry sent later if `send` fails
   * @throws what `send` throws
   */
  async send<T>(token: string, leaseMs: number, send: () => Promise<T>, retry: () => Promise<unknown>): Promise<T> {
    const sentAt = new Moment()
    try {
      return await send()
    } catch (error) {
      this.unanswered.set(token, { retry, sentAt, leaseMs })
      throw error
    }
  }

  /** @throws what a retry throws */
  retryAll(): Promise<unknown> {
    if (this.unanswered.size === 0) return Promise.resolve()
    this.retrying ??= Promise.all(
      [...this.unanswered].map(async ([token, { retry, sentAt, leaseMs }]) => {
        if (sentAt.passedMs() < leaseMs) await retry()
        this.unanswered.delete(token)
      }),
    ).finally(() => {
      this.retrying = undefined
    })
    return this.retrying
  }
}
