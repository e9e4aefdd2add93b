// The shop's logger behind one shape. pino takes (fields, message); console, winston and most others take (message, fields).

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** A logger of pino's shape or of console's. Silent when none is given. */
export type LoggerLike = Record<LogLevel, (...args: never[]) => unknown>

/** What the package itself calls. Never throws, whatever the shop's logger does. */
export interface Log {
  /** A message that costs something to make is given as a function, and made only where somebody reads it. */
  (level: LogLevel, message: string | (() => string), fields?: Record<string, unknown>): void
  /** False where a debug line would go nowhere, so that none is built for each order. */
  readonly debugs: boolean
}

export function toLog(logger: LoggerLike | undefined): Log {
  if (logger === undefined) return Object.assign(() => {}, { debugs: false })
  const fieldsFirst = typeof (logger as { bindings?: unknown }).bindings === 'function'
  const log = (level: LogLevel, message: string | (() => string), fields: Record<string, unknown> = {}): void => {
    try {
      const text = typeof message === 'function' ? message() : message
      const write = logger[level] as (...args: unknown[]) => unknown
      if (fieldsFirst) write.call(logger, fields, text)
      else write.call(logger, text, fields)
    } catch {
      // A logger that throws must not stop an order from being settled; there is nowhere left to say so.
    }
  }
  return Object.assign(log, {
    get debugs() {
      const enabled = (logger as { isLevelEnabled?: (level: string) => boolean }).isLevelEnabled
      return typeof enabled === 'function' ? enabled.call(logger, 'debug') : true
    },
  })
}
