// A Redis Cluster as the option `redis`: the shop's own ioredis `Cluster`, or its nodes with ioredis's options. Options that would lead to an unintended
// server, or put all keys on one node, are refused.

import { isDeepStrictEqual } from 'node:util'
import { Cluster, type ClusterNode, type ClusterOptions, type Redis, type RedisOptions } from 'ioredis'
import { OrderTimersError, show } from '../errors.js'
import { checked, parseAddress } from './address.js'
import { OURS, OURS_IN_CLUSTER } from './own-options.js'
import { type Client, fromClient, type RedisSource } from './single-source.js'

/** A Redis Cluster by some of its nodes, with the options of ioredis's `Cluster`: what concerns each connection is in `redisOptions`. */
export interface RedisNodes extends Omit<ClusterOptions, 'scripts' | 'lazyConnect' | 'scaleReads'> {
  /** Each as `host:port`, a URL, a port, or host and port. The client learns of the others. */
  nodes: readonly (string | number | { host?: string; port?: number })[]
}

/** A client of the shop's copy of ioredis. */
export interface ClusterClient {
  isCluster: true
  status: string
  options: ClusterOptions
  startupNodes?: readonly ClusterNode[]
  duplicate(nodes: readonly ClusterNode[], override: ClusterOptions): Redis
}

/** The options of our own clients. */
type Ours = ClusterOptions & { redisOptions: NonNullable<ClusterOptions['redisOptions']> & { replyMapping: 'legacy' } }

/** How many nodes a message names. */
const MOST_NAMED = 3

const EXAMPLE = 'redis: { nodes: ["redis-1:6379", "redis-2:6379"], redisOptions: { password } }'

/** Options that ioredis's `Cluster` takes for each connection, in `redisOptions`, and would ignore beside it. */
const OF_EACH_CONNECTION = ['username', 'password', 'tls', 'family', 'connectTimeout', 'commandTimeout', 'socketTimeout', 'keepAlive']

/** Options with the address of one server. */
const OF_ONE_SERVER = ['sentinels', 'host', 'port', 'path', 'name'] as const

export function isCluster(value: unknown): value is ClusterClient {
  return (value as { isCluster?: unknown } | null | undefined)?.isCluster === true
}

/** @throws OrderTimersError INVALID_OPTION */
export function fromCluster(client: ClusterClient): RedisSource {
  const { options, startupNodes = [] } = client
  const create = (name: string): Redis => {
    const override = withOurs(options, name)
    const made = client.duplicate([], override)
    if (made.status === 'wait' && (made.options as ClusterOptions).enableOfflineQueue === false) return made
    made.disconnect?.()
    return new Cluster([...startupNodes], { ...options, ...override }) as unknown as Redis
  }
  return { ...about(options, startupNodes.map(addressOf)), create }
}

/** @throws OrderTimersError INVALID_OPTION */
export function fromNodes({ nodes, ...options }: RedisNodes): RedisSource {
  const wrong = OF_ONE_SERVER.find((name) => name in options)
  if (wrong !== undefined) throw invalid(`has "nodes", which are a cluster's, and ${show(wrong)}, which is of one server; give one of them`)
  const misplaced = OF_EACH_CONNECTION.find((name) => name in options)
  if (misplaced !== undefined)
    throw invalid(`has ${show(misplaced)} beside "nodes", where ioredis ignores it; give it in "redisOptions": ${EXAMPLE}`)
  if (!Array.isArray(nodes) || nodes.length === 0) throw invalid(`must have the addresses of some nodes as "nodes", such as ${EXAMPLE}`)
  const addresses = nodes.map(nodeOf)
  const [first = {}, ...others] = addresses
  // What the first address has besides host and port applies to all nodes, since the cluster names nodes that have no address here.
  const all: ClusterOptions = { ...options, redisOptions: { ...beyondAddress(first), ...options.redisOptions } }
  for (const other of others) refuseOther(beyondAddress(other), all.redisOptions as Record<string, unknown>, addressOf(other))
  const starts = addresses.map(({ host = '127.0.0.1', port = 6379 }) => ({ host, port }))
  const create = (name: string) => new Cluster(starts, { ...all, ...withOurs(all, name) }) as unknown as Redis
  return { ...about(all, starts.map(addressOf)), create }
}

/**
 * One node alone.
 * @param client the cluster's own connection to it, which is duplicated
 */
export function fromNode(client: Redis): RedisSource {
  const { host, port } = client.options
  return {
    ...fromClient(client as unknown as Client),
    topology: 'node',
    describe: () => `${addressOf({ host, port })} (a node of the cluster)`,
  }
}

function about(options: ClusterOptions, addresses: readonly string[]): Omit<RedisSource, 'create'> {
  const { db, keyPrefix: ofEach, username: user = 'default' } = checked(options.redisOptions ?? {}) as RedisOptions
  const { keyPrefix = ofEach ?? '', db: besides } = options as { keyPrefix?: unknown; db?: unknown }
  if (Number(db ?? besides ?? 0) !== 0) throw invalid(`names db ${show(db ?? besides)}, and a cluster has db 0 alone; use "prefix" instead`)
  if (typeof keyPrefix !== 'string') throw invalid(`must have text as "keyPrefix", not ${show(keyPrefix)}`)
  if (/[{}]/.test(keyPrefix))
    throw invalid(`has the keyPrefix ${show(keyPrefix)}, whose braces would put all keys on one node; give one without braces`)
  const named = addresses.slice(0, MOST_NAMED).join(', ') + (addresses.length > MOST_NAMED ? ', …' : '')
  return { keyPrefix, db: 0, user, topology: 'cluster', describe: () => `cluster ${named}` }
}

function withOurs({ redisOptions }: ClusterOptions, name: string): Ours {
  const ofEach = { ...redisOptions, ...(OURS as object), db: 0, connectionName: name, replyMapping: 'legacy' }
  return { ...(OURS_IN_CLUSTER as object), redisOptions: ofEach } as Ours
}

function nodeOf(node: unknown): RedisOptions {
  if (typeof node === 'string') return parseAddress(node)
  if (typeof node === 'number') return checked({ port: node })
  if (node === null || typeof node !== 'object' || Array.isArray(node))
    throw invalid(`has ${show(node)} among its "nodes"; each is host:port, a URL, or { host, port }`)
  return checked(node)
}

function beyondAddress({ host: _, port: __, ...rest }: RedisOptions): RedisOptions {
  return rest
}

/** @throws OrderTimersError INVALID_OPTION, without the value, which may be a password */
function refuseOther(given: object, ofAll: Record<string, unknown>, address: string): void {
  const others = Object.entries(given).filter(([, value]) => value !== undefined && value !== null)
  const differing = others.find(([name, value]) => !(name === 'db' && value === 0) && !isDeepStrictEqual(value, ofAll[name]))
  if (differing === undefined) return
  throw invalid(
    `has ${show(differing[0])} of its own for ${address}, and all nodes are connected to alike; give it in "redisOptions": ${EXAMPLE}`,
  )
}

function addressOf(node: unknown): string {
  if (typeof node !== 'object' || node === null) return typeof node === 'string' ? addressOf(parseAddress(node)) : `127.0.0.1:${node}`
  const { host = '127.0.0.1', port = 6379 } = node as { host?: string | undefined; port?: number | undefined }
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function invalid(why: string): OrderTimersError {
  return new OrderTimersError('INVALID_OPTION', `orderTimers: "redis" ${why}`)
}
