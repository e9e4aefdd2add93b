// How long Redis takes to answer. A request waits 200 ms for it at most, and then says `armed: false`.

import { byHand, type Check, fine, redisCli, wrong } from './check.js'

const NAME = 'redis.round-trip'
const ASKED = 5
const LONGEST_MS = 100
const WAIT_MS = 5_000

export const redisRoundTrip: Check = {
  name: NAME,
  needs: 'redis',
  async look({ redis }) {
    const took: number[] = []
    for (let i = 0; i < ASKED; i += 1) {
      const askedAt = performance.now()
      await redis?.connection.run(WAIT_MS, (client) => client.time())
      took.push(performance.now() - askedAt)
    }
    const median = took.sort((a, b) => a - b)[ASKED >> 1] as number
    const about = { expected: `an answer within ${LONGEST_MS} ms`, found: `${median.toFixed(1)} ms (median of ${ASKED})` }
    if (median <= LONGEST_MS) return [fine(NAME, about)]
    return [
      wrong(NAME, about, redisCli('SLOWLOG GET 10'), byHand('run Redis near the shop, and look for what keeps it or the network busy')),
    ]
  },
}
