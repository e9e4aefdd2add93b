// Error replies of Redis: whether an error is one, its error code (the first word), the fault that it means, and what to do about it.

import { ReplyError } from 'ioredis'
import { missingRight } from './missing-right.js'

/** The fault that an error reply means. */
export type ReplyFault = 'REDIS_UNAVAILABLE' | 'REDIS_UNUSABLE' | 'REDIS_REFUSES'

/**
 * Error codes that do not mean that the command is refused
 * (https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors).
 */
const OTHER_FAULTS: Record<string, ReplyFault> = {
  LOADING: 'REDIS_UNAVAILABLE',
  BUSY: 'REDIS_UNAVAILABLE',
  TRYAGAIN: 'REDIS_UNAVAILABLE',
  READONLY: 'REDIS_UNUSABLE',
  MASTERDOWN: 'REDIS_UNUSABLE',
  MOVED: 'REDIS_UNUSABLE',
  ASK: 'REDIS_UNUSABLE',
  CLUSTERDOWN: 'REDIS_UNUSABLE',
  CROSSSLOT: 'REDIS_UNUSABLE',
}

/** Of a server that is a node of a cluster. */
export const GIVE_CLUSTER = 'give its cluster: redis: { nodes: ["host:port"] }'

const CLUSTER = `this is a node of a cluster; ${GIVE_CLUSTER}`

/** What to do about an error reply, by its code. */
const REMEDIES: Record<string, string> = {
  LOADING: 'Redis answers once it has loaded its data',
  BUSY: 'a script blocks Redis; end it with SCRIPT KILL',
  READONLY: 'give the primary, or Sentinels',
  MASTERDOWN: 'give the primary, or Sentinels',
  MOVED: CLUSTER,
  ASK: CLUSTER,
  CLUSTERDOWN: CLUSTER,
  CROSSSLOT: CLUSTER,
  OOM: 'raise "maxmemory", or remove what fills it',
  MISCONF: "Redis cannot save its data; look at its disk and at Redis's log",
  NOREPLICAS: '"min-replicas-to-write" wants more replicas than follow',
  MAXCLIENTS: 'raise "maxclients", or find out who holds so many connections',
  NOPERM: 'give this user the rights that docs/redis.md lists',
  NOAUTH: 'give the user and the password in "redis"',
  WRONGPASS: 'give the right user and password in "redis"',
}

/** The remedy for the same codes where a cluster or one of its nodes is what was asked. */
export const SLOT_UNSERVED = 'the cluster serves no such slot now; look at CLUSTER INFO'

/** The remedy for a command that does not exist on this server, or not under its name. */
export const UNRENAMED = 'do not rename this command (rename-command); if it must be forbidden to others, do that by ACL'

/** The remedy for the number of a db that this server does not have. */
export const NAME_DB = 'name a db that this Redis has (CONFIG GET databases), or raise "databases" in redis.conf'

/** The remedy for a single server that was given as a cluster. */
export const GIVE_SERVER = 'this is no cluster; give it as one server: redis: "redis://host:port"'

/** Replies of clusters and their nodes. */
const ofClusters = new WeakSet<Error>()

/** Error codes that concern every write on the server. */
const SERVER_WIDE = ['OOM', 'MISCONF', 'NOREPLICAS']

const TOO_MANY_CLIENTS = /max number of clients/i
const NEEDS_MEMORY = /maxmemory|out of memory/i
const NO_SUCH_DB = /DB index is out of range/i
const NO_CLUSTER = /cluster support disabled/i
const UNKNOWN_COMMAND = /unknown (?:redis )?command/i
const NEEDS_RIGHTS = /\bACL failure|no permissions to|user executing the script can't/i

/**
 * Whether this is an error reply of Redis. It is recognised by the class of our copy of ioredis; for another copy (the shop's client is
 * duplicated) by its name; and in a minified bundle, where names are lost, by what ioredis adds and the protocol's form: a word in capitals
 * first.
 */
export function isReply(error: unknown): error is Error {
  if (error instanceof ReplyError) return true
  if (!(error instanceof Error)) return false
  return error.name === 'ReplyError' || ('command' in error && /^-?[A-Z][A-Z0-9_]+ /.test(error.message))
}

/** The error code; of an error within a script, that of the command that failed there. */
export function replyWord({ message }: Error): string {
  const [, first = 'ERR'] = /^-?([A-Z][A-Z0-9_]+)\b/.exec(message) ?? []
  if (first !== 'ERR') return first
  for (const [, word] of message.matchAll(/(?:^|\s)-([A-Z]+)\s/g)) if (word && word !== 'ERR') return word
  if (NEEDS_MEMORY.test(message)) return 'OOM'
  if (TOO_MANY_CLIENTS.test(message)) return 'MAXCLIENTS'
  return NEEDS_RIGHTS.test(message) ? 'NOPERM' : 'ERR'
}

export function replyFault(error: Error): ReplyFault {
  if (NO_CLUSTER.test(error.message)) return 'REDIS_UNUSABLE'
  return OTHER_FAULTS[replyWord(error)] ?? 'REDIS_REFUSES'
}

/** Marks a reply of a cluster or one of its nodes, in contrast to a single server that turned out to be a node. */
export function noteOfCluster(error: Error): void {
  ofClusters.add(error)
}

export function replyRemedy(error: Error): string | undefined {
  const word = replyWord(error)
  if (REMEDIES[word] === CLUSTER && ofClusters.has(error)) return SLOT_UNSERVED
  if (NO_CLUSTER.test(error.message)) return GIVE_SERVER
  if (NO_SUCH_DB.test(error.message)) return NAME_DB
  if (word === 'ERR' && UNKNOWN_COMMAND.test(error.message)) return UNRENAMED
  const right = word === 'NOPERM' ? missingRight(error.message) : undefined
  return right === undefined ? REMEDIES[word] : `allow this user ${right}; docs/redis.md lists all rights that it needs`
}

/** Whether the reply came from a replica, which takes no writes. */
export function isReplica(error: Error): boolean {
  return ['READONLY', 'MASTERDOWN'].includes(replyWord(error))
}

/** Whether it is refused only for a moment because the slot of its keys is moving to another node. */
export function isMoving(error: Error): boolean {
  return replyWord(error) === 'TRYAGAIN'
}

/** Whether the reason applies to every write, so that one success proves that all would succeed. */
export function isServerWide(word: string): boolean {
  return SERVER_WIDE.includes(word)
}
