// One of the loops by which a process works, such as a rule's alarm. It says when it last turned, so that a loop that hangs is noticed.

export class Loop {
  private turnedAt: number | undefined

  /** @param name for a person, such as `alarm order_pay` */
  constructor(readonly name: string) {}

  turned(): void {
    this.turnedAt = performance.now()
  }

  /** It waits for something that may take any time, or has ended. */
  rests(): void {
    this.turnedAt = undefined
  }

  /** Milliseconds since it last turned; 0 while it rests. */
  get silentMs(): number {
    return this.turnedAt === undefined ? 0 : performance.now() - this.turnedAt
  }
}
