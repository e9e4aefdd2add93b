// What the shop means to do later with an order, at its time. One order's wishes follow each other; different orders' go side by side.

export class Agenda {
  private readonly pending = new Set<Promise<void>>()

  /** Does something in so many milliseconds. It must not throw. */
  later(ms: number, act: () => Promise<void>): void {
    const done: Promise<void> = new Promise<void>((resolve) => setTimeout(resolve, ms)).then(act).finally(() => this.pending.delete(done))
    this.pending.add(done)
  }

  /** Fulfilled when everything is done, also what was put down meanwhile. */
  async finish(): Promise<void> {
    while (this.pending.size > 0) await Promise.all(this.pending)
  }
}
