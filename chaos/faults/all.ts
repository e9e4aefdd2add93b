// Every kind of fault, in lanes. Faults of one lane follow each other, since they would be in each other's way; lanes run side by side.

import type { Topology } from '../servers/topology.js'
import { CLOCKS } from './clocks.js'
import { FAILOVERS } from './failovers.js'
import type { Fault } from './fault.js'
import { NETWORK } from './network.js'
import { POSTGRES_ROWS } from './postgres-rows.js'
import { POSTGRES_SERVER } from './postgres-server.js'
import { PROCESSES } from './processes.js'
import { REDIS_DATA } from './redis-data.js'
import { REDIS_SERVER } from './redis-server.js'

export const LANES = {
  servers: { ...REDIS_SERVER, ...POSTGRES_SERVER, ...FAILOVERS },
  network: NETWORK,
  processes: PROCESSES,
  data: { ...REDIS_DATA, ...POSTGRES_ROWS, ...CLOCKS },
}

export type Lane = keyof typeof LANES
export type FaultKind = { [L in Lane]: keyof (typeof LANES)[L] }[Lane]

const ALL = Object.assign({}, ...Object.values(LANES)) as Record<FaultKind, Fault>

export const faultOf = (kind: FaultKind): Fault => ALL[kind]
export const isFaultKind = (kind: string): kind is FaultKind => Object.hasOwn(ALL, kind)
export const kindsOf = (lane: Lane): FaultKind[] => Object.keys(LANES[lane]) as FaultKind[]

/** Whether it can be brought about there. */
export function isFor(kind: FaultKind, { redis, postgres }: Topology): boolean {
  const fault = faultOf(kind)
  return (fault.redis?.includes(redis) ?? true) && (fault.postgres ?? postgres) === postgres
}

/**
 * After these Redis has less than it was told. A server that is killed comes back with everything: each write was with the kernel. A replica that
 * takes over has not what it had not received.
 */
export const LOSES_DATA: ReadonlySet<FaultKind> = new Set([
  ...(['redis-emptied', 'redis-power-lost', 'redis-flushed', 'redis-keys-removed'] as const),
  ...(['primary-killed', 'primary-stopped', 'failed-over-by-command'] as const),
])

/** These need another checkout of the package. */
export const NEEDS_OTHER: ReadonlySet<FaultKind> = new Set(['other-version'])
