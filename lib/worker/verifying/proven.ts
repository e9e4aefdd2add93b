// Orders for which `ask` answered `true` a moment ago, so that a repeated settlement needs no further question. Whether the row has been
// written since, the settling statement checks by xmin.

import { Moment } from '../../moment.js'
import type { Proof } from '../../rows/settlement.js'

const KEPT_MS = 10_000

/** How many orders of a rule are remembered. */
const MOST = 10_000

export class Proven {
  private readonly proofs = new Map<string, { proof: Proof; since: Moment }>()

  add(id: string, proof: Proof): void {
    if (this.proofs.size >= MOST) this.proofs.clear()
    this.proofs.set(id, { proof, since: new Moment() })
  }

  of(id: string, xmin: string): Proof | undefined {
    const known = this.proofs.get(id)
    if (known && known.proof.xmin === xmin && known.since.passedMs() < KEPT_MS) return known.proof
    if (known) this.proofs.delete(id)
    return undefined
  }
}
