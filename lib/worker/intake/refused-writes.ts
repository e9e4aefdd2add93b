// Writes that Redis refuses, as a fault of a worker's: told when the first is refused, over when they succeed again.

import { errorText } from '../../error-text.js'
import type { RedisConnection } from '../../redis/connection.js'
import type { Faults } from '../faults.js'

/** @returns ends it */
export function reportRefusedWrites({ refusals, where }: RedisConnection, faults: Faults): () => void {
  const unlisten = [
    refusals.onRefused(({ what, error, remedy }) => {
      const message = `Redis at ${where} refuses writes (${what}: ${errorText(error)}); the sweep over Postgres carries on`
      faults.raise('REDIS_REFUSES', { message, error, ...(remedy !== undefined && { remedy }) })
    }),
    refusals.onAccepted(() => faults.clear('REDIS_REFUSES')),
  ]
  return () => {
    for (const end of unlisten) end()
  }
}
