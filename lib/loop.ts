// One of the loops of a process, such as a rule's alarm. It knows when it last ran, so that a hanging loop is noticed.

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

  /** Milliseconds since it last ran; 0 while it rests. */
  get silentMs(): number {
    return this.turnedAt === undefined ? 0 : performance.now() - this.turnedAt
  }
}
