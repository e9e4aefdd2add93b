// Pauses of one loop, which a stop ends at once.

export class Rest {
  private ended = false
  private readonly interrupts = new Set<() => void>()

  /** Resolves after the time, or as soon as `end` is called. */
  for(milliseconds: number): Promise<void> {
    if (this.ended || milliseconds <= 0) return Promise.resolve()
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer)
        this.interrupts.delete(finish)
        resolve()
      }
      const timer = setTimeout(finish, milliseconds)
      this.interrupts.add(finish)
    })
  }

  /** Ends the pauses; there are no more from now on. */
  end(): void {
    this.ended = true
    for (const interrupt of this.interrupts) interrupt()
  }
}
