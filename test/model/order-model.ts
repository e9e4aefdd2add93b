// One order as it must be: a plain record of what was acknowledged about it. A timer may have gone off at any moment since its deadline,
// so an answer may teach the model that it did; whether it then did so rightly, the ledger is asked at the end.

import type { Change } from '../support/ledger.js'

export const SHIPPED = 4
export const CONFIRMED = 5
export const ELSEWHERE = 2

/** A deadline that was in force for a while, and what became of it: whoever acted before the timer made it `void`. */
interface Term {
  deadline: number
  state: 'pending' | 'settled' | 'void'
}

export class OrderModel {
  private status: number = SHIPPED
  private readonly terms: Term[] = []

  constructor(
    readonly id: number,
    /** On the row, in whatever status the order is. */
    private deadline: number | null,
  ) {
    this.begin(deadline)
  }

  scheduled(deadline: number): void {
    this.requireShipped('schedule')
    this.begin(deadline)
  }

  extended(deadline: number, by: number): void {
    this.requireShipped('extend')
    const expected = this.pending && this.pending.deadline + by
    if (deadline !== expected) throw this.broken(`was extended to ${deadline} instead of ${expected}`)
    this.begin(deadline)
  }

  cancelled(): void {
    this.requireShipped('cancel')
    this.begin(null)
  }

  movedByHand(to: number): void {
    this.requireShipped('a move by hand')
    this.end('void')
    this.status = to
  }

  /** It is in `from` again, with a new deadline. */
  cameBack(deadline: number): void {
    this.returnToFrom()
    this.begin(deadline)
  }

  /**
   * It is in `from` again, with this deadline on its row, at a moment at which no clock showed more than `latest`: with the deadline with
   * which it left, or with none, where that passed while the order was away.
   */
  cameBackWith(deadline: number | null, latest: number): void {
    this.returnToFrom()
    const cleared = deadline === null && this.deadline !== null && this.deadline <= latest
    if (deadline !== this.deadline && !cleared) throw this.broken(`came back with the deadline ${deadline} instead of ${this.deadline}`)
    this.begin(deadline)
  }

  /** It is in `from`, says an answer. */
  wasInFrom(): void {
    this.requireShipped('an answer')
  }

  /** It is no longer in `from`, says an answer: then its timer went off, or there is no saying why. */
  wasNotInFrom(): void {
    if (this.status !== SHIPPED) return
    if (!this.pending) throw this.broken('left `from` although it had no timer')
    this.end('settled')
    this.status = CONFIRMED
    this.deadline = null
  }

  /** It is in `from` and has no timer, says an answer. */
  hadNoTimer(): void {
    this.requireShipped('an answer')
    if (this.pending) throw this.broken('lost its deadline')
  }

  /** Holds what the workers did to it against what was acknowledged. Nothing may be pending any more. */
  judge(byWorkers: readonly Change[]): void {
    const unmatched = this.terms.filter(({ state }) => state !== 'void')
    for (const { from, to, deadline } of byWorkers) {
      if (from !== SHIPPED || to !== CONFIRMED) throw this.broken(`was moved from ${from} to ${to}`)
      const index = unmatched.findIndex((term) => term.deadline === deadline?.getTime())
      if (index < 0) throw this.broken(`was settled by the deadline ${deadline?.getTime()}, which was not in force any more or never`)
      unmatched.splice(index, 1)
    }
    const [lost] = unmatched
    if (lost) throw this.broken(lost.state === 'settled' ? `left \`from\` and nobody moved it` : `was lost: ${lost.deadline} is over`)
  }

  private get pending(): Term | undefined {
    const last = this.terms.at(-1)
    return last?.state === 'pending' ? last : undefined
  }

  private returnToFrom(): void {
    if (this.status === SHIPPED) this.wasNotInFrom()
    this.status = SHIPPED
  }

  private begin(deadline: number | null): void {
    this.end('void')
    this.deadline = deadline
    if (deadline !== null) this.terms.push({ deadline, state: 'pending' })
  }

  private end(state: 'settled' | 'void'): void {
    if (this.pending) this.pending.state = state
  }

  private requireShipped(what: string): void {
    if (this.status !== SHIPPED) throw this.broken(`has status ${this.status}, and ${what} found it in \`from\``)
  }

  private broken(what: string): Error {
    return new Error(`order ${this.id} ${what}; its deadlines: ${JSON.stringify(this.terms)}`)
  }
}
