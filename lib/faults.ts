// Faults: what is wrong at present, by code and subject (a rule, a channel, a node, or the process). Each fault is logged and reported once
// when it begins and once when it ends, however often it is raised. A worker has its faults, and so have the timers of a process without one.

import { errorText } from './error-text.js'
import type { Log } from './logger.js'

/** What every process concludes from the heartbeats of all processes. */
export type PresenceFaultCode = 'NO_WORKER' | 'KIND_UNSERVED' | 'RULES_DIFFER' | 'OTHER_REDIS' | 'PREFIX_SHARED'

/** Something that is wrong at present. */
export interface FaultOf<Code extends string> {
  code: Code
  /** The rule that it is about. Undefined if it is about the process or a server. */
  kind?: string
  /** The channel of Redis that it is about. */
  channel?: string
  /** The node of a Redis Cluster that it is about: host and port. */
  node?: string
  /** What is wrong, and what to do about it. */
  message: string
  /** The error behind it, as text. */
  cause?: string
  /** What to do about it. */
  remedy?: string
  /** When it began, by this process's clock. */
  since: Date
}

/** A fault as it is raised. */
export interface FaultReport {
  /** The rule, if it is about one. */
  kind?: string
  /** The Redis channel, if it is about one. */
  channel?: string
  /** The node of a Redis Cluster, if it is about one: host and port. */
  node?: string
  message: string
  /** What to do about it. Appended to the message after a semicolon. */
  remedy?: string
  error?: unknown
}

/** Receives faults in addition to the log. */
export interface FaultListener<Code extends string> {
  emitSafely(event: 'fault', fault: Omit<FaultOf<Code>, 'since'> & { error?: unknown }): void
  emitSafely(event: 'recovered', over: Pick<FaultOf<Code>, 'code' | 'kind' | 'channel' | 'node' | 'since'>): void
}

export class FaultsOf<Code extends string> {
  private readonly present = new Map<string, FaultOf<Code>>()

  constructor(
    private readonly listener: FaultListener<Code>,
    private readonly log: Log,
  ) {}

  /** Reports a new fault. For a present fault only the message and cause are updated. */
  raise(code: Code, report: FaultReport): void {
    const { kind, channel, node, message: what, remedy, error } = report
    const key = keyOf(code, aboutOf(report))
    const known = this.present.get(key)
    const message = remedy === undefined ? what : `${what}; ${remedy}`
    const about = {
      code,
      ...(kind !== undefined && { kind }),
      ...(channel !== undefined && { channel }),
      ...(node !== undefined && { node }),
      message,
      ...(error !== undefined && { cause: errorText(error) }),
      ...(remedy !== undefined && { remedy }),
    }
    this.present.set(key, { ...about, since: known?.since ?? new Date() })
    if (known) return
    const { message: _, cause, remedy: __, ...fields } = about
    this.log('warn', `${code}: ${message}`, { ...fields, ...(cause !== undefined && { error: cause }) })
    this.listener.emitSafely('fault', { ...about, ...(error !== undefined && { error }) })
  }

  /** @param about as `aboutOf` returns it; without it, the fault that is about no rule, channel or node */
  clear(code: Code, about?: string): void {
    const known = this.present.get(keyOf(code, about))
    if (!known) return
    this.present.delete(keyOf(code, about))
    const { kind, channel, node, since } = known
    const fields = {
      ...{ code, ...(kind !== undefined && { kind }), ...(channel !== undefined && { channel }), ...(node !== undefined && { node }) },
    }
    this.log('info', `${code}: over${about === undefined ? '' : ` (${about})`}`, fields)
    this.listener.emitSafely('recovered', { ...fields, since })
  }

  /** @param about as for `clear` */
  has(code: Code, about?: string): boolean {
    return this.present.has(keyOf(code, about))
  }

  list(): FaultOf<Code>[] {
    return [...this.present.values()]
  }
}

/** What a fault is about, as text: the rule, or the channel, and the node. */
export function aboutOf({ kind, channel, node }: { kind?: string; channel?: string; node?: string }): string | undefined {
  const parts = [kind ?? channel, node].filter((part) => part !== undefined)
  return parts.length > 0 ? parts.join(' at ') : undefined
}

function keyOf(code: string, about = ''): string {
  return `${code} ${about}`
}
