// Log lines as JSON, one object a line: what `order-timers worker --json` writes where the shop gave no logger.

import type { Log, LogLevel } from '../logger.js'

export function jsonLog(print: (line: string) => void): Log {
  const log = (level: LogLevel, message: string | (() => string), fields: object = {}): void => {
    if (level === 'debug') return
    const text = typeof message === 'function' ? message() : message
    print(JSON.stringify({ time: new Date().toISOString(), level, message: text, ...fields }))
  }
  return Object.assign(log, { debugs: false, flush() {} }) as Log
}
