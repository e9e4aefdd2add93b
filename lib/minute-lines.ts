// Lines for people, without floods: of each subject and level one line a minute is written, the rest is counted and told at the minute's end.

interface Window {
  /** By level: how often it came again, and what it said last. */
  repeats: Map<string, { count: number; at: Date; text: string }>
  levels: Set<string>
  timer: NodeJS.Timeout
}

export class MinuteLines {
  private readonly windows = new Map<string, Window>()

  constructor(
    private readonly write: (line: string) => void,
    private readonly windowMs: number,
  ) {}

  add(subject: string, level: string, text: string): void {
    const { levels, repeats } = this.windows.get(subject) ?? this.open(subject)
    const at = new Date()
    if (!levels.has(level)) {
      levels.add(level)
      this.print(at, level, oneLine(text))
      return
    }
    const count = (repeats.get(level)?.count ?? 0) + 1
    repeats.delete(level) // so that the map's order is that of the last occurrences
    repeats.set(level, { count, at, text: oneLine(text) })
  }

  /** Ends all windows now. */
  flush(): void {
    for (const subject of [...this.windows.keys()]) this.end(subject)
  }

  private open(subject: string): Window {
    const timer = setTimeout(() => this.end(subject), this.windowMs).unref()
    const window = { repeats: new Map(), levels: new Set<string>(), timer }
    this.windows.set(subject, window)
    return window
  }

  /** What came again is told in the order in which it was said last, so that the last line is how things stand. */
  private end(subject: string): void {
    const { repeats, timer } = this.windows.get(subject) as Window
    clearTimeout(timer)
    this.windows.delete(subject)
    if (repeats.size === 0) return
    const { levels } = this.open(subject)
    for (const [level, { count, at, text }] of repeats) {
      levels.add(level)
      this.print(at, level, `${text} (and ${count} more)`)
    }
  }

  private print(at: Date, level: string, text: string): void {
    try {
      this.write(`${at.toISOString()} ${level} ${text}`)
    } catch {
      // A console that throws must not stop an order from being settled; there is nowhere left to say so.
    }
  }
}

const LONGEST = 4_000

/** A line stays one line, whatever a key or a database put into it. */
function oneLine(text: string): string {
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text
  return cut.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => {
    if (character === '\n') return '\\n'
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
