// What was looked up a moment ago, for everybody who asks the same meanwhile: one look at a time for each question, however many pages are open.

export interface RememberedOptions {
  /** For how long an answer is good. */
  freshMs: number
  /** How long to wait for a new answer where there is an old one. Default: for ever. */
  waitMs?: number
}

interface Entry<T> {
  value?: T
  at: number
  looking: Promise<T> | undefined
}

const MOST_ENTRIES = 200

export class Remembered<T> {
  private readonly entries = new Map<string, Entry<T>>()

  constructor(private readonly options: RememberedOptions) {}

  /** @throws what `look` throws, where there is no older answer */
  async get(name: string, look: () => Promise<T>): Promise<T> {
    const entry = this.entries.get(name) ?? this.add(name)
    const { freshMs, waitMs } = this.options
    if ('value' in entry && performance.now() - entry.at < freshMs) return entry.value as T
    entry.looking ??= look()
      .then((value) => {
        Object.assign(entry, { value, at: performance.now() })
        return value
      })
      .finally(() => {
        entry.looking = undefined
      })
    if (waitMs === undefined || !('value' in entry)) return entry.looking
    const { value } = entry as { value: T }
    return Promise.race([entry.looking.catch(() => value), later(value, waitMs)])
  }

  forget(): void {
    for (const entry of this.entries.values()) entry.at = Number.NEGATIVE_INFINITY
  }

  private add(name: string): Entry<T> {
    if (this.entries.size >= MOST_ENTRIES) this.entries.delete(this.entries.keys().next().value as string)
    const entry: Entry<T> = { at: 0, looking: undefined }
    this.entries.set(name, entry)
    return entry
  }
}

function later<T>(value: T, waitMs: number): Promise<T> {
  return new Promise((resolve) => setTimeout(resolve, waitMs, value).unref())
}
