// The options of ioredis that our promises rest on, whatever the shop's say. Null where ioredis is to have none: it would replace undefined
// by a default, which a shop may have changed.

import { SCRIPTS } from './scripts.generated.js'

const RETRY = { firstMs: 20, mostMs: 500, mostDoublings: 5 }

/** With jitter, so that many processes do not come back at one moment. Never gives up. */
function retryAfterMs(times: number): number {
  return Math.min(RETRY.mostMs, RETRY.firstMs * 2 ** Math.min(times, RETRY.mostDoublings)) * (0.75 + Math.random() / 4)
}

export const OURS = {
  lazyConnect: true,
  // The prefix is put on by us, on what goes to Redis and on what an event carries alike.
  keyPrefix: '',
  scripts: { ...SCRIPTS },
  // Subscribing again is the subscriber's, with a catch: a refused re-subscription of ioredis's own ends the process.
  autoResubscribe: false,
  // A command fails at once where there is no connection; what must not be forgotten is kept by us, bounded.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  // Neither a server nor the Sentinels are given up.
  retryStrategy: retryAfterMs,
  sentinelRetryStrategy: retryAfterMs,
  connectTimeout: 2_000,
  sentinelCommandTimeout: 2_000,
  disconnectTimeout: 2_000,
  // A server that is silent on a pending command is taken for dead, and the connection made anew. A single command has no time of its own:
  // its answer may still come, and would be counted as a failure.
  socketTimeout: 1_500,
  commandTimeout: null,
  blockingTimeout: null,
  reconnectOnError: null,
  // A server that loads its data is asked again soon.
  enableReadyCheck: true,
  maxLoadingRetryTime: 500,
  // Timers are written, so the primary is meant.
  readOnly: false,
  role: 'master',
  // Replies in one form, each command by itself and at once.
  enableAutoPipelining: false,
  stringNumbers: false,
  replyMapping: 'legacy',
  noDelay: true,
  showFriendlyErrorStack: false,
  monitor: false,
  himportFieldsets: [],
}
