// `timers.check()`: everything that otherwise shows at first use, now. For a start-up script, or a health check before traffic.

import { OrderTimersError } from './errors.js'
import { assertUsable } from './redis/server.js'
import { redisError } from './redis/trouble.js'
import type { Runtime } from './runtime.js'

const PATIENCE_MS = 5_000

/** @throws OrderTimersError INVALID_MODEL, INVALID_STATUS, SHARED_DEADLINE, POSTGRES_UNAVAILABLE, REDIS_UNAVAILABLE, REDIS_UNUSABLE */
export async function checkRuntime(runtime: Runtime): Promise<void> {
  const rows = runtime.rules().flatMap(({ row }) => (row ? [row] : []))
  for (const row of rows) {
    try {
      await row.check()
    } catch (cause) {
      if (cause instanceof OrderTimersError) throw cause
      throw new OrderTimersError(
        'POSTGRES_UNAVAILABLE',
        `orderTimers: Postgres did not describe ${row.guard.table.table} (${(cause as Error).message})`,
        { cause },
      )
    }
  }
  if (!runtime.redis) return
  const { connection } = runtime.redis
  await connection.connected(PATIENCE_MS)
  try {
    await assertUsable(connection)
    await connection.refusals.probe?.()
  } catch (error) {
    throw redisError(error, connection.where)
  }
}
