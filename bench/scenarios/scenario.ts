// What a scenario is: which systems it measures, at which sizes, and how one round of one system goes.
import type { Figures } from '../row.js'
import type { Site } from '../site.js'
import type { SystemName } from '../systems/index.js'

/** One row of the results, before it has figures. */
export interface Entry {
  system: SystemName | 'express' | 'idle-redis'
  variant?: string
  workers?: number
  n: number
  pending: number
}

export interface Scenario {
  name: string
  /** One sentence for the table's heading. */
  title: string
  systems: readonly SystemName[]
  n: number
  pendings: readonly number[]
  rounds: number
  /** The rows for one system: ways of using it, numbers of workers. */
  entries(system: SystemName, n: number, pending: number): Entry[]
  run(site: Site, entry: Entry): Promise<Figures>
}

/** It took longer than it may, and would again: it is not repeated. */
export class OutOfTime extends Error {}

export const PEERS = ['bullmq', 'bee-queue', 'graphile-worker', 'pg-boss'] as const
