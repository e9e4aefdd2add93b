// How a process of a chaos run reaches Redis by its host's links: the option `redis`, as JSON.

import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis'

export interface ClusterAddress extends ClusterOptions {
  nodes: { host: string; port: number }[]
}

export type RedisAddress = string | RedisOptions | ClusterAddress

/** ioredis's `natMap`: what the servers call each other, and the link that leads there. */
export function natMap(ports: readonly number[], links: readonly number[]): Record<string, { host: string; port: number }> {
  return Object.fromEntries(ports.map((port, i) => [`127.0.0.1:${port}`, at(links[i] as number)]))
}

export function at(port: number): { host: string; port: number } {
  return { host: '127.0.0.1', port }
}

/** A client that is none of the package's. */
export function clientOf(address: RedisAddress, options: RedisOptions): Redis {
  if (typeof address === 'string') return new Redis(address, options as never)
  if (!('nodes' in address)) return new Redis({ ...address, ...options } as never)
  const { nodes, ...rest } = address
  const { retryStrategy, enableOfflineQueue = true, ...redisOptions } = options
  const ofCluster = { ...rest, clusterRetryStrategy: retryStrategy, enableOfflineQueue, redisOptions }
  return new Cluster(nodes, ofCluster as never) as unknown as Redis
}
