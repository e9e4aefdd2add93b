// Something that is tried every so often until it succeeds, or until nobody needs it any more.

export class Attempts {
  private timer: NodeJS.Timeout | undefined

  constructor(private readonly everyMs: number) {}

  get running(): boolean {
    return this.timer !== undefined
  }

  /**
   * Does nothing where attempts are running already.
   * @param attempt answers whether it succeeded
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
