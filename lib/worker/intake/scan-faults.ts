// The fault SCAN_REFUSED of one server: Redis refuses a command of the scan for external keys, so that they are not found before they expire.

import { errorText } from '../../error-text.js'
import type { RedisConnection } from '../../redis/connection.js'
import { isReply, replyFault, replyRemedy } from '../../redis/replies.js'
import type { ServerFaults } from '../faults.js'

/** Within a script Redis says so while the slot of the lock moves to another node, or the cluster is down. */
const OF_SLOTS = /script attempted to/i

export class ScanFaults {
  constructor(
    private readonly connection: RedisConnection,
    private readonly faults: ServerFaults,
  ) {}

  /** @param error any; only a refusal is reported, and not while all writes are refused, which is a fault itself */
  refused(error: unknown): void {
    const { refusals, where } = this.connection
    if (!isReply(error) || replyFault(error) !== 'REDIS_REFUSES' || OF_SLOTS.test(error.message) || refusals.present) return
    const what = `Redis at ${where} refuses the scan for keys that other services set (${errorText(error)})`
    const remedy = replyRemedy(error) ?? 'see what Redis answered'
    this.faults.raise('SCAN_REFUSED', {
      message: `${what}; their expiry is noticed late, or not at all where events are off`,
      remedy,
      error,
    })
  }

  works(): void {
    this.faults.clear('SCAN_REFUSED')
  }
}
