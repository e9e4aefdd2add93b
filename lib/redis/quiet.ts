// Whether a connection keeps the process running. One that was opened by a web process's beat alone does not, so that a script that mounts the
// timers and makes no call ends by itself. The first use by anything else ends that.

import type { Socket } from 'node:net'
import type { Redis } from 'ioredis'

export class Quiet {
  private quiet = false

  constructor(private readonly client: Redis) {
    client.on('connect', () => this.apply())
    // ioredis waits for its next attempt with a timer that keeps the process running. Without a next attempt it ends, and is opened again by ours.
    for (const name of ['retryStrategy', 'sentinelRetryStrategy'] as const) {
      const retry = client.options[name]
      if (retry) client.options[name] = (times) => (this.quiet ? null : retry(times))
    }
  }

  get on(): boolean {
    return this.quiet
  }

  begin(): void {
    this.quiet = true
  }

  end(): void {
    if (!this.quiet) return
    this.quiet = false
    this.apply()
  }

  private apply(): void {
    const { stream } = this.client as { stream?: Partial<Socket> }
    if (this.quiet) stream?.unref?.()
    else stream?.ref?.()
  }
}
