// What the judge is given of a run, and what it answers. Everything is plain data, so that a test can write a run by hand.

import type { Delivery, Feature, Histories, Row } from '../history.js'

/** A row as it is once the run is over. */
export interface FinalRow {
  table: string
  id: string
  row: Row
}

/** A row of `order_timers_history`. Instants are milliseconds since 1970 of Postgres's clock, as the product sees it. */
export interface Recorded {
  kind: string
  id: string
  /** The reminder's `before`; empty for a settlement. */
  reminder: string
  fromStatus: string | null
  toStatus: string | null
  deadline: number | null
  settledAt: number
  /** When `afterCommit` is called again; null where it is done or was given up. */
  nextTry: number | null
  attempts: number
}

/** A rule's row in the table of brakes. */
export interface BrakeRow {
  /** Milliseconds since 1970 of Postgres's clock, as the product sees it. */
  since: number
  settled: number
  braked: boolean
}

/** One line of the ledger of brakes. */
export interface BrakeChange {
  n: number
  kind: string
  txid: string
  at: number
  trueAt: number
  by: string
  from: BrakeRow | null
  to: BrakeRow
}

/** While this lasted, something was so. Instants are milliseconds since 1970 of the clock that no fault moves. */
export interface Span {
  beganAt: number
  endedAt: number
}

/** All that the judge looks at. */
export interface Run extends Histories {
  rows: readonly FinalRow[]
  recorded: readonly Recorded[]
  /** What is now in the table of brakes: since when a kind is stopped. */
  braked: Readonly<Record<string, boolean>>
  /** What changed in the table of brakes. */
  brakes: readonly BrakeChange[]
  /** When Redis may have lost data: killed, flushed, restarted from a file that was cut off. */
  losses: readonly Span[]
  /** When Postgres's clock, as the product sees it, was moved: by how much from then on. Ascending; empty where it never was. */
  clockMoves: readonly { at: number; offsetMs: number }[]
  /** When the last fault was healed. */
  healedAt: number
  /** When the run was looked at: nothing was written after it. */
  endedAt: number
  /** From one sweep to the next, milliseconds. */
  sweepMs: number
  /** How many times as long work took as the CPU time that it needed, from the end of the faults on: 1 where the machine had time for all. */
  slowdown: number
}

export interface Anomaly {
  /** The name of the invariant's file. */
  invariant: string
  feature: Feature
  /** The table and the id, or the kind and the id where there is no table. */
  order: string
  message: string
  /** What shows it: wishes, changes, deliveries … */
  evidence: Record<string, unknown>
}

/** A delivery and its place in the run. */
export type NumberedDelivery = Delivery & { n: number }

export interface Verdict {
  anomalies: Anomaly[]
  /** How many orders there were of each feature. */
  features: Record<Feature, number>
  /** What must happen at least once in a run, else the run tries too little, and how often it did. */
  sometimes: Record<string, number>
  timers: number
  settled: number
  wishes: number
  unknown: number
  /** From the end of the last fault until everything that was due by then was settled. */
  recoveredMs: number
  /** How starved the machine was meanwhile: see `Run`. It lengthens what is allowed. */
  slowdown: number
  /** From the deadline to the settlement. */
  latenessMs: { p50: number; p99: number; max: number }
}
