// A logger of console's shape that keeps what it is told, without the identity of the process, which is another in each run.

import type { LogLevel } from '../../lib/logger.js'

export interface Line {
  level: LogLevel
  message: string
  fields: Record<string, unknown>
}

export class Lines {
  readonly all: Line[] = []
  readonly debug = this.keep('debug')
  readonly info = this.keep('info')
  readonly warn = this.keep('warn')
  readonly error = this.keep('error')

  of(level: LogLevel): string[] {
    return this.all.filter((line) => line.level === level).map(({ message }) => message)
  }

  private keep(level: LogLevel) {
    return (message: string, { process: _, ...fields }: Record<string, unknown>) => void this.all.push({ level, message, fields })
  }
}
