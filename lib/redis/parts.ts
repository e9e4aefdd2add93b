// Calls for the partitions of a cluster's index: for those of given ids, each with its own ids, or for all. One Redis server has one partition.

import type { Redis } from 'ioredis'
import type { Keys } from '../keys.js'
import type { RedisConnection } from './connection.js'

/** Calls it for each partition with the indexes of its ids. @throws what a call throws, once all have ended */
export async function eachPart<T>(
  keys: Keys,
  ids: readonly string[],
  call: (places: readonly number[], partition: number) => Promise<T>,
): Promise<T[]> {
  if (keys.partitions === 1) return [await call([...ids.keys()], 0)]
  const parts = new Map<number, number[]>()
  for (const [place, id] of ids.entries()) {
    const partition = keys.partitionOf(id)
    const places = parts.get(partition)
    if (places) places.push(place)
    else parts.set(partition, [place])
  }
  const results = await Promise.allSettled([...parts].map(([partition, places]) => call(places, partition)))
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}

/** The same for each partition, in one round trip. */
export function everyPart<T>(
  { connection, keys }: { connection: RedisConnection; keys: Keys },
  waitMs: number,
  ask: (client: Redis, partition: number) => Promise<T>,
): Promise<T[]> {
  return connection.run(waitMs, (client) => Promise.all(keys.everyPartition.map((partition) => ask(client, partition))))
}

export function at<T>(all: readonly T[], places: readonly number[]): readonly T[] {
  return places.length === all.length ? all : places.map((place) => all[place] as T)
}
