// One claim: the orders of one rule that this worker may settle now. While it holds, no other worker settles them, and no other claim can end it.

import type { Moment } from '../../moment.js'
import type { Failure } from '../../redis/failed-timers.js'
import type { Disposition } from '../../redis/leases.js'
import type { Proofs } from '../../rows/settlement.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Path } from '../events.js'
import type { HeldLease } from './lease.js'

export interface Work {
  rule: BoundRule
  via: Path
  ids: string[]
  /** An order's deadline, milliseconds, if the claim knows it. */
  deadlineOf(id: string): number | undefined
  /** By `performance.now()`: when the last of them is due. Until then they only wait. */
  dueAt?: number
  /** They are already late because nothing settled for a while, so their batch uses only the share of the pool for a backlog. */
  isBacklog: boolean
  /** The path's previous check: an order that was already due then is late for another reason than a late check. */
  lookedAt: Moment
  lease: HeldLease
  /** Earlier failures of these orders. */
  failures(ids: readonly string[]): Promise<Map<string, Failure>>
  /** Under `verify`: the proofs for its orders. */
  proofs?: Proofs
  /** Ends the claim. Orders without a disposition are settled. */
  finish(dispositions: readonly Disposition[]): Promise<unknown>
}
