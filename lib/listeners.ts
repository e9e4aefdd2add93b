// A set of callbacks.

export class Listeners<T extends unknown[] = []> {
  private readonly listeners = new Set<(...about: T) => void>()

  /** @returns a function that removes it */
  add(listener: (...about: T) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  call(...about: T): void {
    for (const listener of this.listeners) listener(...about)
  }

  clear(): void {
    this.listeners.clear()
  }
}
