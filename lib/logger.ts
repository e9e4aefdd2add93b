// The shop's logger behind one shape. pino takes (fields, message); console, winston and most others take (message, fields). Without a
// logger, what a person has to know goes to stderr, at most one line for each code and minute.

import { MinuteLines } from './minute-lines.js'
import { stderrWriter } from './stderr.js'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** A logger of pino's shape or of console's. */
export type LoggerLike = Record<LogLevel, (...args: never[]) => unknown>

/** A message that costs something to make is given as a function, and made only where somebody reads it. */
type Message = string | (() => string)

type Fields = Record<string, unknown>

/** Fields of a line that a person has to know. The code names what happened, in capitals; `kind` names the rule. */
type CodedFields = Fields & { code: string; kind?: string }

/** What the package itself calls. Never throws, whatever the shop's logger does. Each warning and each error has a code. */
export interface Log {
  /** A line with a code is also shown where the shop gave no logger, unless its level is debug. */
  (level: LogLevel, message: Message, fields: CodedFields): void
  (level: 'debug' | 'info', message: Message, fields?: Fields): void
  /** False where a debug line would go nowhere, so that none is built for each order. */
  readonly debugs: boolean
  /** Writes what is held back to be counted. Called when the timers are closed. */
  flush(): void
}

/** @param logger undefined: what has a code goes to stderr; false: nothing is logged */
export function toLog(logger: LoggerLike | false | undefined): Log {
  if (logger === undefined) return stderrLog()
  if (logger === false) return Object.assign(() => {}, { debugs: false, flush() {} })
  return shopLog(logger)
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
      // A logger that throws must not stop an order from being settled; there is nowhere left to say so.
    }
  }
  // Asked each time: the level of most loggers can be changed while the process runs.
  const debugs = (): boolean => {
    const { isLevelEnabled } = logger as { isLevelEnabled?: (level: string) => boolean }
    return typeof isLevelEnabled === 'function' ? isLevelEnabled.call(logger, 'debug') : true
  }
  return Object.defineProperty(Object.assign(log, { debugs: true, flush() {} }), 'debugs', { get: debugs })
}

/**
 * @param write takes a line
 * @param windowMs for how long lines of one code are counted together
 */
export function stderrLog(write = stderrWriter(), windowMs = 60_000): Log {
  const lines = new MinuteLines(write, windowMs)
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
