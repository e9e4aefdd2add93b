// The pauses of a loop. A stop ends them at once.

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

  /** Ends the present pause and all later ones. */
  end(): void {
    this.ended = true
    for (const interrupt of this.interrupts) interrupt()
  }
}
