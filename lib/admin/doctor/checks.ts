// The doctor's checks, in the order in which they are made and shown.

import type { Check } from './check.js'
import { postgresReachable } from './postgres-reachable.js'
import { redisEvents } from './redis-events.js'
import { redisEviction } from './redis-eviction.js'
import { redisMemory } from './redis-memory.js'
import { redisPersistence } from './redis-persistence.js'
import { redisReachable } from './redis-reachable.js'
import { redisRights } from './redis-rights.js'
import { redisRoundTrip } from './redis-round-trip.js'
import { redisTtlKeys } from './redis-ttl-keys.js'
import { redisWrites } from './redis-writes.js'
import { ruleDeclarations } from './rule-declarations.js'
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
  postgresReachable,
]
