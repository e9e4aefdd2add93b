// The doctor's checks, in the order in which they are made and shown.

import { armedTimers } from './armed-timers.js'
import type { Check } from './check.js'
import { clocks } from './clocks.js'
import { locks } from './locks.js'
import { orders } from './orders.js'
import { postgresReachable } from './postgres-reachable.js'
import { processes } from './processes.js'
import { redisEvents } from './redis-events.js'
import { redisEviction } from './redis-eviction.js'
import { redisLeftKinds } from './redis-left-kinds.js'
import { redisMemory } from './redis-memory.js'
import { redisPartitions } from './redis-partitions.js'
import { redisPersistence } from './redis-persistence.js'
import { redisReachable } from './redis-reachable.js'
import { redisRights } from './redis-rights.js'
import { redisRoundTrip } from './redis-round-trip.js'
import { redisTtlKeys } from './redis-ttl-keys.js'
import { redisWrites } from './redis-writes.js'
import { ruleDeclarations } from './rule-declarations.js'
import { ruleTables } from './rule-tables.js'
import { sweepPlans } from './sweep-plans.js'
import { sweepRead } from './sweep-read.js'
import { timersSwitch } from './timers-switch.js'
import { versions } from './versions.js'

export const CHECKS: readonly Check[] = [
  versions,
  timersSwitch,
  ruleDeclarations,
  redisReachable,
  redisRoundTrip,
  redisRights,
  redisWrites,
  redisEvents,
  redisEviction,
  redisMemory,
  redisPersistence,
  redisTtlKeys,
  redisPartitions,
  redisLeftKinds,
  postgresReachable,
  ruleTables,
  sweepPlans,
  clocks,
  processes,
  locks,
  orders,
  sweepRead,
  armedTimers,
]
