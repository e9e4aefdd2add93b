// Log lines with a rate limit: for each subject and level one line is written in a window of time. Further lines are counted, and the last of them
// is written at the end of the window with the count.

interface Window {
  /** By level: how many lines were held back, and the last of them. */
  repeats: Map<string, { count: number; at: Date; text: string }>
  levels: Set<string>
  timer: NodeJS.Timeout
}

export class RateLimitedLines {
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
    repeats.delete(level) // keeps the map in the order of the last lines
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

  /** Lines that were held back are written in the order of their last occurrence, so that the last one shows the present state. */
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
      // A stream that throws must not prevent a settlement, and there is nowhere else to report it.
    }
  }
}

const LONGEST = 4_000

/** Keys and messages of databases may have line breaks. */
function oneLine(text: string): string {
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text
  return cut.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => {
    if (character === '\n') return '\\n'
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
