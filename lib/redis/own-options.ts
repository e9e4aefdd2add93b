// The options of ioredis that our promises depend on. They override the shop's. Null means none: ioredis would replace undefined by a
// default, which a shop may have changed.

import { SCRIPTS } from './scripts.generated.js'

const RETRY = { firstMs: 20, mostMs: 500, mostDoublings: 5 }

/** Milliseconds until the next attempt, with jitter, so that many processes do not reconnect at one moment. Never gives up. */
function retryAfterMs(times: number): number {
  return Math.min(RETRY.mostMs, RETRY.firstMs * 2 ** Math.min(times, RETRY.mostDoublings)) * (0.75 + Math.random() / 4)
}

export const OURS = {
  lazyConnect: true,
  // We add the prefix ourselves, since ioredis adds it to keys but not to the names in events.
  keyPrefix: '',
  scripts: { ...SCRIPTS },
  // The subscriber resubscribes itself, with a catch: if Redis refuses ioredis's own resubscription, the process ends.
  autoResubscribe: false,
  // A command fails at once without a connection. We keep timers ourselves, up to a limit.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  // Never give up, neither a server nor the Sentinels.
  retryStrategy: retryAfterMs,
  sentinelRetryStrategy: retryAfterMs,
  connectTimeout: 2_000,
  sentinelCommandTimeout: 2_000,
  disconnectTimeout: 2_000,
  // A server that does not answer a pending command counts as dead, and the connection is replaced. Single commands have no timeout: a late
  // reply would count as a failure.
  socketTimeout: 1_500,
  commandTimeout: null,
  blockingTimeout: null,
  reconnectOnError: null,
  // Ask a server that loads its data again soon.
  enableReadyCheck: true,
  maxLoadingRetryTime: 500,
  // Timers are written, so it must be the primary.
  readOnly: false,
  role: 'master',
  // Replies in one form; each command is sent by itself and at once.
  enableAutoPipelining: false,
  stringNumbers: false,
  replyMapping: 'legacy',
  noDelay: true,
  showFriendlyErrorStack: false,
  monitor: false,
  himportFieldsets: [],
}

/**
 * When a server counts as silent that accepts connections and answers INFO, as one does that loads its data: ioredis then queues the commands to a node of
 * a cluster without a limit. Connecting and one answer may take as long.
 */
export const ANSWERED_WITHIN_MS = OURS.connectTimeout + OURS.socketTimeout + 500

/** The same for a `Cluster`; its connections get the options above as `redisOptions`. */
export const OURS_IN_CLUSTER = {
  lazyConnect: true,
  keyPrefix: '',
  scripts: OURS.scripts,
  enableOfflineQueue: false,
  enableReadyCheck: true,
  enableAutoPipelining: false,
  shardedSubscribers: false,
  himportFieldsets: [],
  scaleReads: 'master',
  clusterRetryStrategy: retryAfterMs,
  clusterNodeRetryStrategy: null,
  // A command to a slot that has moved, or whose node fails over, is retried: for half a second in all, and for about three if a node hangs.
  maxRedirections: 5,
  retryDelayOnFailover: 100,
  retryDelayOnClusterDown: 100,
  retryDelayOnTryAgain: 100,
  retryDelayOnMoved: 0,
  slotsRefreshTimeout: 1_500,
  slotsRefreshInterval: null, // see cluster-upkeep.ts
}
