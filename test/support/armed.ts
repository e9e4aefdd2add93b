// What stands armed in Redis, looked at with a plain client: the due index and the timers' own keys.

import type { Timer } from '../../lib/index.js'
import { Keys } from '../../lib/keys.js'
import type { TestRedis } from './redis.js'
import { waitUntil } from './waiting.js'

/** A timer's entry in the due index and its key's expiry, milliseconds since 1970; null where there is none. */
export async function armed(
  { client, prefix }: TestRedis,
  kind: string,
  id: number | string,
): Promise<{ due: number | null; key: number | null }> {
  const keys = new Keys(prefix)
  const [score, expiry] = await Promise.all([
    client.zscore(keys.sets(kind).due, String(id)),
    client.pexpiretime(keys.timer(kind, String(id))),
  ])
  return { due: score === null ? null : Number(score), key: expiry < 0 ? null : expiry }
}

export const NOT_ARMED = { due: null, key: null }

/** Removes every key under the prefix, as FLUSHALL would, without harm to other tests. */
export async function flush({ client, prefix }: TestRedis): Promise<number> {
  let removed = 0
  for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1000 })) {
    if (keys.length > 0) removed += await client.unlink(...(keys as string[]))
  }
  return removed
}

/** Makes the call again until Redis took the timer in the 200 ms that a call waits for it: on a loaded machine `armed: false` is no fault. */
export async function untilArmed(schedule: () => Promise<Timer>): Promise<void> {
  await waitUntil(async () => (await schedule()).armed === true, { within: 20_000 })
}
