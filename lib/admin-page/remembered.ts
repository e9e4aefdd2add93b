// A cache of answers: one query at a time for each key, however many pages ask for it.
// An answer always comes with its age. One that is too old is never returned: the caller waits for the new query, or gets its error.

export interface RememberedOptions {
  /** How long an answer is fresh. */
  freshMs: number
  /** How long to wait for a new answer if there is an old one. Default: without limit. */
  waitMs?: number
  /** The age from which an answer is too old. */
  maxAgeMs: number
}

export interface Aged<T> {
  value: T
  /** How long ago its query began. */
  ageMs: number
}

interface Entry<T> {
  found: { value: T; at: number } | undefined
  looking: Promise<T> | undefined
}

const MOST_ENTRIES = 200

export class Remembered<T> {
  private readonly entries = new Map<string, Entry<T>>()

  constructor(private readonly options: RememberedOptions) {}

  /** @throws what `look` throws, if no older answer may be used */
  async get(name: string, look: () => Promise<T>): Promise<Aged<T>> {
    const { freshMs, waitMs, maxAgeMs } = this.options
    const entry = this.entries.get(name) ?? this.add(name)
    if (entry.found && ageOf(entry.found) < freshMs) return aged(entry.found)
    entry.looking ??= this.look(entry, look)
    const { looking } = entry
    const old = entry.found
    if (!old || ageOf(old) >= maxAgeMs) return aged({ value: await looking, at: entry.found?.at ?? performance.now() })
    const failed = looking.then(
      () => undefined,
      () => undefined,
    )
    await (waitMs === undefined ? failed : Promise.race([failed, later(waitMs)]))
    return aged(entry.found ?? old)
  }

  /** The same, but waits no longer than this. @returns undefined if there is no usable answer by then @throws what `look` throws */
  async soon(name: string, look: () => Promise<T>, waitMs: number): Promise<Aged<T> | undefined> {
    const answer = this.get(name, look)
    answer.catch(() => {}) // queried again the next time
    return (await Promise.race([answer, later(waitMs)])) ?? this.known(name)
  }

  private known(name: string): Aged<T> | undefined {
    const found = this.entries.get(name)?.found
    return found && ageOf(found) < this.options.maxAgeMs ? aged(found) : undefined
  }

  /** The present answer, at once; if it is not fresh, a new query begins. @returns undefined if there is no usable answer */
  latest(name: string, look: () => Promise<T>): Aged<T> | undefined {
    const { freshMs } = this.options
    const entry = this.entries.get(name) ?? this.add(name)
    if (!entry.found || ageOf(entry.found) >= freshMs) {
      entry.looking ??= this.look(entry, look)
      entry.looking.catch(() => {}) // asked again the next time
    }
    return this.known(name)
  }

  /** After a change: running queries may not have seen it, so later callers do not get their answers. */
  forget(): void {
    this.entries.clear()
  }

  private look(entry: Entry<T>, look: () => Promise<T>): Promise<T> {
    const at = performance.now()
    return look()
      .then((value) => {
        entry.found = { value, at }
        return value
      })
      .finally(() => {
        entry.looking = undefined
      })
  }

  private add(name: string): Entry<T> {
    if (this.entries.size >= MOST_ENTRIES) this.entries.delete(this.entries.keys().next().value as string)
    const entry: Entry<T> = { found: undefined, looking: undefined }
    this.entries.set(name, entry)
    return entry
  }
}

function ageOf({ at }: { at: number }): number {
  return performance.now() - at
}

function aged<T>(found: { value: T; at: number }): Aged<T> {
  return { value: found.value, ageMs: Math.round(ageOf(found)) }
}

function later(waitMs: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, waitMs, undefined).unref())
}
