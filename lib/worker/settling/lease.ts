// The lease of one claim, as this process knows it: it is held for its length after the last confirmed message was sent. No work
// begins unless it is held, because the orders of an expired lease belong to whoever claims them next.

import { Moment } from '../../moment.js'
import type { BoundRule } from '../../rules/rule.js'

/** The longest lease of a rule over rows. It can be short because the rows' guard protects orders whose lease has expired. */
export const ROW_LEASE_MS = 3_000

/** How often a lease is renewed in its time. */
const RENEWALS = 3

/** How long claims of a rule are valid without renewal, milliseconds. `optionMs` is the worker's option `lease`. */
export function leaseMsOf(rule: BoundRule, optionMs: number): number {
  return rule.row ? Math.min(ROW_LEASE_MS, optionMs) : optionMs
}

export interface HeldLease {
  /** Whether it is known to be ours now. Sends no command. */
  readonly held: boolean
  /** Asks Redis. @returns whether it is ours; also false if Redis does not answer. Never rejects. */
  renew(): Promise<boolean>
  /** Renews it regularly until the returned function is called. */
  renewed(): () => void
}

export class Lease implements HeldLease {
  private lost = false
  private renewing: Promise<boolean> | undefined

  constructor(
    private readonly leaseMs: number,
    /** When the claim was sent to Redis: its lease began no earlier. */
    private since: Moment,
    private readonly keep: () => Promise<boolean>,
  ) {}

  get held(): boolean {
    return !this.lost && this.since.passedMs() < this.leaseMs
  }

  renew(): Promise<boolean> {
    this.renewing ??= this.ask().finally(() => {
      this.renewing = undefined
    })
    return this.renewing
  }

  renewed(): () => void {
    const timer = setInterval(() => void this.renew(), this.leaseMs / RENEWALS)
    return () => clearInterval(timer)
  }

  private async ask(): Promise<boolean> {
    if (this.lost) return false
    const sentAt = new Moment()
    try {
      if (await this.keep()) this.since = sentAt
      else this.lost = true
    } catch {
      // Without an answer the end of the lease does not change.
    }
    return this.held
  }
}

/** How long this process may stand still until it has lost what it claimed in memory alone: other workers have settled that, and answers of `verify` are old. */
const STOOD_STILL_MS = 10_000

/** The lease of a claim in this process's memory, which no other worker can take. */
export function leaseInMemory(): HeldLease {
  const lease: Lease = new Lease(STOOD_STILL_MS, new Moment(), async () => lease.held)
  return lease
}
