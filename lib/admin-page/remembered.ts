// What was looked up a moment ago, for everybody who asks the same meanwhile: one look at a time for each question, however many pages are open.
// An answer always comes with its age. One that has become too old is never given: then the new look is waited for, or what it throws is thrown.

export interface RememberedOptions {
  /** For how long an answer is good. */
  freshMs: number
  /** How long to wait for a new answer where there is an old one. Default: for ever. */
  waitMs?: number
  /** From which age on an answer is no answer. */
  maxAgeMs: number
}

export interface Aged<T> {
  value: T
  /** How long ago the look began that brought it. */
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

  /** @throws what `look` throws, where there is no older answer that is good enough */
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

  /** The same, waiting for no longer than this. @returns undefined where nothing is known by then that is good enough @throws what `look` throws */
  async soon(name: string, look: () => Promise<T>, waitMs: number): Promise<Aged<T> | undefined> {
    const answer = this.get(name, look)
    answer.catch(() => {}) // looked at again the next time
    return (await Promise.race([answer, later(waitMs)])) ?? this.known(name)
  }

  private known(name: string): Aged<T> | undefined {
    const found = this.entries.get(name)?.found
    return found && ageOf(found) < this.options.maxAgeMs ? aged(found) : undefined
  }

  /** What is known, at once, while a new look begins where that has become old. @returns undefined where nothing is known that is good enough */
  latest(name: string, look: () => Promise<T>): Aged<T> | undefined {
    const { freshMs } = this.options
    const entry = this.entries.get(name) ?? this.add(name)
    if (!entry.found || ageOf(entry.found) >= freshMs) {
      entry.looking ??= this.look(entry, look)
      entry.looking.catch(() => {}) // asked again the next time
    }
    return this.known(name)
  }

  /** After a change: looks that are under way may not have seen it, so nobody is told of them who asks from now on. */
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
