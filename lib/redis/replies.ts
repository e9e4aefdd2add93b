// What Redis answers as an error: whether an error is such an answer at all, which word it begins with, and which fault it means.

import { ReplyError } from 'ioredis'

/** The fault or error that an answer of Redis's means. */
export type ReplyFault = 'REDIS_UNAVAILABLE' | 'REDIS_UNUSABLE' | 'REDIS_REFUSES'

/** Words of answers that do not mean that a command is refused (https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors). */
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

/** What to do about an answer, by its word. */
const REMEDIES: Record<string, string> = {
  LOADING: 'Redis loads its data and answers when it has',
  BUSY: "somebody's script occupies Redis; end it by SCRIPT KILL",
  READONLY: 'give the primary, or Sentinels',
  MASTERDOWN: 'give the primary, or Sentinels',
  MOVED: 'this is a cluster node; give a standalone Redis',
  ASK: 'this is a cluster node; give a standalone Redis',
  CLUSTERDOWN: 'this is a cluster node; give a standalone Redis',
  CROSSSLOT: 'this is a cluster node; give a standalone Redis',
  OOM: 'raise "maxmemory", or remove what fills it',
  MISCONF: "Redis cannot save its data; look at its disk and at Redis's log",
  NOREPLICAS: '"min-replicas-to-write" wants more replicas than follow',
  MAXCLIENTS: 'raise "maxclients", or look who holds so many connections',
  NOPERM: 'give this user the rights that docs/redis.md lists',
  NOAUTH: 'give the user and the password in "redis"',
  WRONGPASS: 'give the right user and password in "redis"',
}

/** Answers that concern every write on the server, whoever sends it. */
const SERVER_WIDE = ['OOM', 'MISCONF', 'NOREPLICAS']

const TOO_MANY_CLIENTS = /max number of clients/i
const NEEDS_MEMORY = /maxmemory|out of memory/i
const NEEDS_RIGHTS = /\bACL failure|no permissions to|user executing the script can't/i

/**
 * Whether Redis answered this. The class of ioredis's own copy tells it; another copy (the shop's client is duplicated) tells by its name,
 * and in a minified bundle, where names are lost, by what ioredis adds and how the protocol writes errors: a word in capitals first.
 */
export function isReply(error: unknown): error is Error {
  if (error instanceof ReplyError) return true
  if (!(error instanceof Error)) return false
  return error.name === 'ReplyError' || ('command' in error && /^-?[A-Z][A-Z0-9_]+ /.test(error.message))
}

/** The word that says what is the matter; of an error within a script, that of the command that failed there. */
export function replyWord({ message }: Error): string {
  const [, first = 'ERR'] = /^-?([A-Z][A-Z0-9_]+)\b/.exec(message) ?? []
  if (first !== 'ERR') return first
  for (const [, word] of message.matchAll(/(?:^|\s)-([A-Z]+)\s/g)) if (word && word !== 'ERR') return word
  if (NEEDS_MEMORY.test(message)) return 'OOM'
  if (TOO_MANY_CLIENTS.test(message)) return 'MAXCLIENTS'
  return NEEDS_RIGHTS.test(message) ? 'NOPERM' : 'ERR'
}

export function replyFault(error: Error): ReplyFault {
  return OTHER_FAULTS[replyWord(error)] ?? 'REDIS_REFUSES'
}

export function replyRemedy(error: Error): string | undefined {
  return REMEDIES[replyWord(error)]
}

/** Whether a replica answered so, which takes no writes. */
export function isReplica(error: Error): boolean {
  return ['READONLY', 'MASTERDOWN'].includes(replyWord(error))
}

/** Whether every write is refused alike, so that one that succeeds proves that all do. */
export function isServerWide(word: string): boolean {
  return SERVER_WIDE.includes(word)
}
