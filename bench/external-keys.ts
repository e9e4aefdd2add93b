// Keys with a TTL that belong to nobody here, as sessions do that live in the same Redis.
import type { Redis } from 'ioredis'

const PORTION = 10_000

export async function addExternalKeys(redis: Redis, count: number): Promise<void> {
  for (let first = 0; first < count; first += PORTION) {
    const pipeline = redis.pipeline()
    for (let i = first; i < Math.min(count, first + PORTION); i += 1) pipeline.setex(`session:${i}`, 86_400, 'somebody')
    await pipeline.exec()
  }
}
