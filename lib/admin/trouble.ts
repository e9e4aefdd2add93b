// A problem as `status` reports it: how bad it is, what it is, and what to do.

/** `failing`: due orders are not settled, or a server does not answer. `degraded`: it can wait until the morning. */
export type Level = 'failing' | 'degraded'

export interface Trouble {
  level: Level
  /**
   * A fault's code (docs/errors.md), or one of DEAD_LETTERS, STALE, RULE_FAILED, OVERDUE, CATCHING_UP, LATE, SWEEP_LATE, CLOCK_SKEW, TABLE_LOCKED,
   * SWITCHED_OFF.
   */
  code: string
  /** The rule, if it is about one. */
  kind?: string
  message: string
  /** What to do about it. */
  remedy: string | undefined
}

export function failing(code: string, message: string, remedy?: string): Trouble {
  return { level: 'failing', code, message, remedy }
}

export function degraded(code: string, message: string, remedy?: string): Trouble {
  return { level: 'degraded', code, message, remedy }
}

/** In one line. */
export function sentence({ level, code, message, remedy }: Trouble): string {
  const what = code === 'NO_WORKER' ? 'NO WORKER ALIVE' : code.replaceAll('_', ' ')
  return `${level === 'failing' ? '✘' : '!'} ${what}: ${message}${remedy === undefined ? '' : ` → ${remedy}`}`
}
