import type { Redis } from 'ioredis'

/**
 * Field, value, field, value, …
 * In capitals: a shop may have set a reply transformer for `hgetall`, which all ioredis clients in a process share.
 */
export function flatHash(client: Redis, key: string): Promise<string[]> {
  return client.call('HGETALL', key) as Promise<string[]>
}
