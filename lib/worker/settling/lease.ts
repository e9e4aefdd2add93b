// The lease of one claim, as this process knows it: held until so long after the last answer of Redis that said so. Work under it begins
// only while it is held, because the orders of a lapsed lease belong to whoever claims them next.

import { Moment } from '../../moment.js'
import type { BoundRule } from '../../rules/rule.js'

/** The longest lease of a rule over rows: the row guards what a lapsed lease leaves behind, so that another worker may take over soon. */
export const ROW_LEASE_MS = 3_000

/** How often a lease is renewed while it lasts. */
const RENEWALS = 3

/** How long claims of a rule hold without a sign of life, milliseconds. `optionMs` is the worker's option `lease`. */
export function leaseMsOf(rule: BoundRule, optionMs: number): number {
  return rule.row ? Math.min(ROW_LEASE_MS, optionMs) : optionMs
}

/** What the dispatcher asks of a lease. */
export interface Held {
  /** Whether it is known to be ours now. Asks nobody. */
  readonly held: boolean
  /** Asks Redis. @returns whether it is ours; false too where Redis does not answer. Never rejects. */
  renew(): Promise<boolean>
  /** Renews it until the returned function is called. */
  renewed(): () => void
}

/** Of a claim in this process's memory, which nobody else can take. */
export const NEVER_LAPSES: Held = { held: true, renew: async () => true, renewed: () => () => {} }

export class Lease implements Held {
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
    const sent = new Moment()
    try {
      if (await this.keep()) this.since = sent
      else this.lost = true
    } catch {
      // Redis does not answer: how long the lease holds is known all the same
    }
    return this.held
  }
}
