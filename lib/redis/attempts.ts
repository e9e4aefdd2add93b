// Repeats an attempt at an interval until it succeeds or is ended.

export class Attempts {
  private timer: NodeJS.Timeout | undefined

  constructor(private readonly everyMs: number) {}

  get running(): boolean {
    return this.timer !== undefined
  }

  /**
   * Does nothing if attempts are running already.
   * @param attempt resolves to whether it succeeded
   * @param onSuccess called once
   */
  start(attempt: () => Promise<boolean>, onSuccess: () => void): void {
    if (this.timer) return
    const timer = setInterval(async () => {
      const succeeded = await attempt()
      if (!succeeded || this.timer !== timer) return
      this.end()
      onSuccess()
    }, this.everyMs)
    this.timer = timer.unref()
  }

  end(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }
}
