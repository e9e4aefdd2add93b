// What a fault is: how long it lasts, how it is brought about and ended, and a witness that it bit. A fault that changed nothing that
// anybody noticed has not bitten.

import type { Traffic } from '../../test/support/tcp-proxy.js'
import type { Host } from '../host.js'
import type { Link } from '../link.js'
import type { Random } from '../random.js'
import type { PostgresTopology, RedisTopology } from '../servers/topology.js'
import type { World } from '../world.js'

/** How often a fault bit: replies dropped, connections cut, processes gone, statements that waited. */
export class Witness {
  bites = 0

  saw(times: number | boolean): void {
    this.bites += Number(times)
  }
}

export interface Scene {
  world: World
  witness: Witness
  /** Choices that the plan's seed repeats. */
  random: Random
  forMs: number
  /** The hosts that it is about, where it is about one. */
  worker: Host
  shop: Host
}

/** Ends a fault, and tells the witness what was seen meanwhile. */
export type End = () => unknown

export interface Fault {
  /** Milliseconds, at least and at most. */
  lasts: readonly [number, number]
  /** Where it can be brought about, if not anywhere. */
  redis?: readonly RedisTopology[]
  postgres?: PostgresTopology
  /** Resolves to what ends it, or when it is over. */
  strike(scene: Scene): Promise<End | undefined> | End
}

export type Faults = Record<string, Fault>

export const AT_ONCE = [0, 0] as const

/** How much went through these links since now. Call the result for the difference. */
export function traffic(links: readonly Link[]): () => Traffic {
  const sum = (): Traffic => {
    const total: Traffic = { requests: 0, replies: 0, heldBack: 0, delayed: 0, repliesDropped: 0, connectionsCut: 0 }
    for (const link of links) for (const name of Object.keys(total) as (keyof Traffic)[]) total[name] += link.traffic[name]
    return total
  }
  const before = sum()
  return () => {
    const now = sum()
    for (const name of Object.keys(now) as (keyof Traffic)[]) now[name] -= before[name]
    return now
  }
}

/** Requests that came through while nobody answered. */
export function unanswered(links: readonly Link[]): () => number {
  const seen = traffic(links)
  return () => {
    const { requests, replies } = seen()
    return Math.max(0, requests - replies)
  }
}
