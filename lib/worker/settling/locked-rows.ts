// Due orders whose rows stay locked. A row that is locked for longer than half a minute is reported as a fault, with the session that
// holds it. The fault is over when the order is settled or its row is free. Postgres is asked every five seconds, independently of settling.

import { errorText } from '../../error-text.js'
import { show } from '../../errors.js'
import { type LockHolder, lockHolders } from '../../rows/lock-holders.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Faults } from '../faults.js'

/** How long a row may be locked before that is a fault. */
const LONG_MS = 30_000
const LOOK_EVERY_MS = 5_000

/** How many locked orders of a rule are remembered. */
const MOST_REMEMBERED = 10_000

export class LockedRows {
  /** By kind and id: when the row was first found locked, by `performance.now()`. */
  private readonly since = new Map<string, Map<string, number>>()
  private timer: NodeJS.Timeout | undefined
  private looking: Promise<void> | undefined

  constructor(
    private readonly rules: ReadonlyMap<string, BoundRule>,
    private readonly faults: Faults,
    private readonly longMs = LONG_MS,
  ) {}

  start(): void {
    this.timer = setInterval(() => void this.look(), LOOK_EVERY_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.timer)
    await this.looking
  }

  /** These were found locked. */
  note(kind: string, ids: readonly string[]): void {
    if (ids.length === 0) return
    const known = this.since.get(kind) ?? new Map<string, number>()
    this.since.set(kind, known)
    const now = performance.now()
    for (const id of ids) if (!known.has(id) && known.size < MOST_REMEMBERED) known.set(id, now)
  }

  /** Whether any order of this rule was found locked and not found free since. */
  knows(kind: string): boolean {
    return (this.since.get(kind)?.size ?? 0) > 0
  }

  /** These were found not to be locked. */
  forget(kind: string, ids: Iterable<string>): void {
    const known = this.since.get(kind)
    if (!known || known.size === 0) return
    for (const id of ids) known.delete(id)
    if (known.size === 0) this.faults.clear('ROW_LOCKED', kind)
  }

  /** Looks up the holders of rows that have been locked for long. Never rejects; one query at a time. */
  look(): Promise<void> {
    this.looking ??= this.lookAtAll().finally(() => {
      this.looking = undefined
    })
    return this.looking
  }

  private async lookAtAll(): Promise<void> {
    for (const [kind, known] of this.since) {
      const line = performance.now() - this.longMs
      const long = [...known].filter(([, since]) => since <= line).map(([id]) => id)
      if (long.length > 0) await this.lookAt(kind, known, long)
      else this.faults.clear('ROW_LOCKED', kind)
    }
  }

  private async lookAt(kind: string, known: Map<string, number>, ids: string[]): Promise<void> {
    const { row } = this.rules.get(kind) ?? {}
    if (!row) return
    const looked = ids.slice(0, 100)
    let holders: LockHolder[]
    try {
      holders = await lockHolders(row.guard, looked)
    } catch (error) {
      return this.report(kind, known, looked, undefined, `who holds it could not be read (${errorText(error)})`)
    }
    const held = new Set(holders.map(({ id }) => id))
    this.forget(
      kind,
      looked.filter((id) => !held.has(id)),
    )
    const holder = holders[0]
    if (holder) this.report(kind, known, [...looked.filter((id) => held.has(id)), ...ids.slice(100)], holder, describeHolder(holder))
  }

  /** Names the order that has been locked the longest, and the number of locked orders. */
  private report(kind: string, known: Map<string, number>, ids: string[], holder: LockHolder | undefined, who: string): void {
    const [id] = holder ? [holder.id] : ids
    const name = this.rules.get(kind)?.row?.guard.table.model.name ?? ''
    const seconds = Math.round((performance.now() - (known.get(id as string) ?? 0)) / 1000)
    const all = ids.length === 1 ? '' : ` (${ids.length} orders of this rule have been locked that long)`
    const message = `${kind}: ${name} ${show(id)} is due, and its row has been locked for ${seconds} s${all}; ${who}`
    this.faults.raise('ROW_LOCKED', { kind, message, remedy: remedyOf(holder) })
  }
}

function describeHolder({ pid, application, user, openForS, statement, blindRole }: LockHolder): string {
  if (pid === null) return 'a prepared transaction holds it (pg_prepared_xacts)'
  const who = `process ${pid} of Postgres holds it (application ${show(application ?? '')}, user ${show(user ?? '')})`
  if (blindRole !== null) return `${who}; the role ${show(blindRole)} may not see what it does: GRANT pg_read_all_stats TO "${blindRole}"`
  const age = openForS === null ? '' : `, in a transaction open for ${Math.round(openForS)} s`
  return `${who}${age}${statement === null ? '' : `, last statement ${statement}`}`
}

function remedyOf(holder: LockHolder | undefined): string {
  const end = 'let that transaction end'
  return holder?.pid == null ? end : `${end}, or end it: SELECT pg_terminate_backend(${holder.pid})`
}
