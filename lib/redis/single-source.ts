// The connections to one Redis server: made from ioredis's options, or duplicated from a client of the shop's own. The options that our promises
// depend on override those of the URL, the options or the client.

import { Redis, type RedisOptions } from 'ioredis'
import { describeAddress } from './address.js'
import { OURS } from './own-options.js'
import { withOurReadyCheck } from './ready-check.js'
import { endingItsTimeout } from './socket-timeout.js'

export interface RedisSource {
  /** The shop's own `keyPrefix`. ioredis adds it to keys but not to the names in events, so we add it ourselves. */
  keyPrefix: string
  /** The number of the database. */
  db: number
  /** The ACL user. */
  user: string
  /** One server, all nodes of a cluster, or one of its nodes alone. */
  topology: 'server' | 'cluster' | 'node'
  /** Where Redis is, for messages: host, port and db, the path of a socket, the Sentinels' name for it, or nodes; never a user or a password. */
  describe(): string
  /** A connection that is not open yet. That to a cluster is an ioredis `Cluster`, which has the same commands. */
  create(name: string): Redis
}

/** A client of the shop's ioredis. */
export interface Client {
  status: string
  options: RedisOptions
  duplicate(override: RedisOptions): Redis
}

export function fromOptions(options: RedisOptions): RedisSource {
  return { ...about(options), create: (name) => prepared(new Redis(withOurs(options, name))) }
}

/** A shop's own class may give its duplicates other options; then the connection is made from the client's options. */
export function fromClient(client: Client): RedisSource {
  const create = (name: string): Redis => {
    const made = client.duplicate(withOurs({}, name))
    if (isOurs(made, name)) return prepared(made)
    made.disconnect?.()
    return prepared(new Redis(withOurs(client.options, name)))
  }
  return { ...about(client.options), create }
}

function withOurs(options: RedisOptions, name: string): RedisOptions & { replyMapping: 'legacy' } {
  return { ...options, ...(OURS as object), connectionName: name, replyMapping: 'legacy' }
}

function prepared(client: Redis): Redis {
  return inWholeRounds(endingItsTimeout(withOurReadyCheck(client)))
}

/**
 * ioredis continues after the Sentinel that answered last, and at the end of the list it says that all are unreachable, even if it has asked none. So each
 * round begins with the next Sentinel, and asks all.
 */
function inWholeRounds(client: Redis): Redis {
  const { connector } = client as unknown as { connector?: { sentinelIterator?: { cursor: number; sentinels: unknown[] } } }
  const round = connector?.sentinelIterator
  if (!round) return client
  return client.on('close', () => {
    round.sentinels.push(...round.sentinels.splice(0, round.cursor))
    round.cursor = 0
  })
}

function about(options: RedisOptions): Omit<RedisSource, 'create'> {
  const db = Number.isSafeInteger(options.db) ? (options.db as number) : 0
  const { keyPrefix = '', username: user = 'default' } = options
  return { keyPrefix, db, user, topology: 'server', describe: () => describeAddress({ ...options, db }) }
}

function isOurs({ options, status }: Redis, name: string): boolean {
  const now = options as unknown as Record<string, unknown>
  const taken = Object.entries(OURS).every(([option, value]) => Array.isArray(value) || now[option] === value)
  return taken && now.connectionName === name && status === 'wait'
}
