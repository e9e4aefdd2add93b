// Clocks that are set while everything runs: a worker's, and Postgres's, by which alone a deadline is judged. Redis's own is not moved:
// libfaketime and the jemalloc of redis-server do not go together. Redis's clock is off by what Postgres's is moved.

import { postgresClockOffset } from '../moved-clock.js'
import type { Faults } from './fault.js'

const HOUR_MS = 3_600_000
/** Deadlines that are computed meanwhile are off by as much. */
const POSTGRES_MOST_MS = 3000

export const CLOCKS = {
  'worker-clock-shifted': {
    lasts: [1000, 4000],
    strike({ worker, witness, random }) {
      const { process } = worker
      process?.send({ clock: random.between(-HOUR_MS, HOUR_MS) })
      return () => {
        // Another fault may have replaced it.
        witness.saw(process?.running === true)
        process?.send({ clock: 0 })
      }
    },
  },
  'postgres-clock-shifted': {
    lasts: [1000, 4000],
    async strike({ world, witness, random }) {
      const byMs = random.between(200, POSTGRES_MOST_MS) * (random.chance(0.5) ? 1 : -1)
      await world.movePostgresClock(byMs)
      return async () => {
        witness.saw(await world.withPostgres(async (client) => Math.abs((await postgresClockOffset(client)) - byMs) < 50))
        await world.movePostgresClock(0)
      }
    },
  },
} satisfies Faults
