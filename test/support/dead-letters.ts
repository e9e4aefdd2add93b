// Dead letters without a rule that failed: written into Redis as a worker writes them.

import type { Redis } from 'ioredis'

const AT = Date.now() * 1_000
let buried = 0

/** @param failures the key of the rule's failures, as `client` names it */
export async function bury(client: Redis, failures: string, ids: readonly (number | string)[], error = 'no stock'): Promise<void> {
  if (ids.length === 0) return
  const failure = JSON.stringify({ attempts: 5, error, at: new Date().toISOString(), dead: true })
  await client.hset(failures, Object.fromEntries(ids.map((id) => [id, failure])))
  await client.zadd(`${failures}:dead`, ...ids.flatMap((id) => [AT + buried++, String(id)]))
}
