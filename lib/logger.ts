// One interface over the shop's logger. pino takes (fields, message); console, winston and most others take (message, fields). Without a
// logger, lines that need attention go to stderr, at most one for each code and minute.

import { RateLimitedLines } from './rate-limited-lines.js'
import { stderrWriter } from './stderr.js'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** A logger of pino's shape or of console's. */
export type LoggerLike = Record<LogLevel, (...args: never[]) => unknown>

/** A message that is expensive to build is given as a function, which is called only if the line is written. */
type Message = string | (() => string)

type Fields = Record<string, unknown>

/** Fields of a line that needs a person's attention. `code` names what happened, in capitals; `kind` names the rule. */
type CodedFields = Fields & { code: string; kind?: string }

/** The package's own logger. Never throws, whatever the shop's logger does. Each warning and each error has a code. */
export interface Log {
  /** A line with a code is written to stderr if the shop gave no logger, unless its level is debug. */
  (level: LogLevel, message: Message, fields: CodedFields): void
  (level: 'debug' | 'info', message: Message, fields?: Fields): void
  /** False if debug lines are discarded, so that callers need not build one for each order. */
  readonly debugs: boolean
  /** Writes the lines that the rate limit held back. Called when the timers are closed. */
  flush(): void
}

/** @param logger undefined: lines with a code go to stderr; false: nothing is logged */
export function toLog(logger: LoggerLike | false | undefined): Log {
  if (logger === undefined) return stderrLog()
  if (logger === false) return Object.assign(() => {}, { debugs: false, flush() {} })
  return shopLog(logger)
}

/** A log that adds the process's identity as the field `process`, since several processes may write to one log. */
export interface ProcessLog extends Log {
  /** Redirects all further lines. */
  writeTo(log: Log): void
}

export function processLog(first: Log, process: string): ProcessLog {
  let target = first
  const log = (level: LogLevel, message: Message, fields?: Fields): void =>
    (target as (level: LogLevel, message: Message, fields: Fields) => void)(level, message, { ...fields, process })
  const writeTo = (other: Log) => {
    target = other
  }
  const all = Object.assign(log, { flush: () => target.flush(), writeTo })
  return Object.defineProperty(all, 'debugs', { get: () => target.debugs }) as ProcessLog
}

function shopLog(logger: LoggerLike): Log {
  const { bindings } = logger as { bindings?: unknown }
  const fieldsFirst = typeof bindings === 'function'
  const log = (level: LogLevel, message: Message, fields: Fields = {}): void => {
    try {
      const text = textOf(message)
      const write = logger[level] as (...args: unknown[]) => unknown
      if (fieldsFirst) write.call(logger, fields, text)
      else write.call(logger, text, fields)
    } catch {
      // A logger that throws must not prevent a settlement, and there is nowhere else to report it.
    }
  }
  // Evaluated at each use, since the level of most loggers can be changed while the process runs.
  const debugs = (): boolean => {
    const { isLevelEnabled } = logger as { isLevelEnabled?: (level: string) => boolean }
    return typeof isLevelEnabled === 'function' ? isLevelEnabled.call(logger, 'debug') : true
  }
  return Object.defineProperty(Object.assign(log, { debugs: true, flush() {} }), 'debugs', { get: debugs })
}

/**
 * @param write writes one line
 * @param windowMs the window of the rate limit
 */
export function stderrLog(write = stderrWriter(), windowMs = 60_000): Log {
  const lines = new RateLimitedLines(write, windowMs)
  const log = (level: LogLevel, message: Message, { code, kind, error }: Fields = {}): void => {
    if (level === 'debug' || typeof code !== 'string') return
    const text = textOf(message)
    const named = text.startsWith(`${code}:`) ? text : `${code}: ${text}`
    const cause = typeof error === 'string' && !text.includes(error) ? ` (${error})` : ''
    lines.add(`${code} ${kind ?? ''}`, level, `express-order-timers ${named}${cause}`)
  }
  return Object.assign(log, { debugs: false, flush: () => lines.flush() })
}

function textOf(message: Message): string {
  return typeof message === 'function' ? message() : message
}
