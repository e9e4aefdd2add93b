// What the rules' own code does in a worker: it writes each delivery into the journal. Some deliveries fail at first, and so do some `run`s, after
// their effects were written, so that those must vanish.

import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { type Delivery, trueNow } from './history.js'
import type { Journal } from './journal.js'
import type { OwnCode, RuleKind } from './rules.js'
import type { ShopRow } from './tables.js'

/** One of so many orders makes its batch fail, once in each process. */
const FAILS = { delivery: 80, handler: 60, run: 300 } as const
/** And so often in the whole run: each failure doubles the wait for the next attempt, and a run with many restarts would end before the last of them. */
const MOST_FAILURES = 3

export class FailsOnPurpose extends Error {}

export class JournaledCode implements OwnCode {
  private readonly failed = new Set<string>()

  constructor(private readonly journal: Journal) {}

  deliver(what: 'afterCommit' | 'reminder', kind: RuleKind, rows: readonly ShopRow[], keys: readonly string[]): void {
    const outcome = rows.some(({ id }) => this.failsNow(`${what} ${kind}`, id, FAILS.delivery)) ? 'failed' : 'done'
    this.note(
      rows.map((row, i) => {
        const { claimBy } = row as ShopRow & { claimBy?: Date | null }
        const deadline = claimBy === undefined ? {} : { deadline: claimBy?.getTime() ?? null }
        return { what, kind, id: String(row.id), key: keys[i] ?? null, outcome, status: String(row.status), ...deadline }
      }),
    )
  }

  handle(kind: RuleKind, ids: readonly string[]): void {
    const outcome = ids.some((id) => this.failsNow(kind, id, FAILS.handler)) ? 'failed' : 'done'
    this.note(ids.map((id) => ({ what: 'handler', kind, id, key: null, outcome })))
  }

  maybeFail(kind: RuleKind, rows: readonly (ShopRow & { fails?: boolean })[]): void {
    const failing = rows.find(({ id, fails }) => fails === true || this.failsNow(`run ${kind}`, id, FAILS.run))
    if (failing) throw new FailsOnPurpose(`run fails on purpose on ${failing.id}`)
  }

  private note(deliveries: readonly Omit<Delivery, 'by' | 'at'>[]): void {
    const [by, at] = [this.journal.name, trueNow()]
    this.journal.write({ deliveries: deliveries.map((delivery) => ({ ...delivery, by, at })) })
    if (deliveries.some(({ outcome }) => outcome === 'failed')) throw new FailsOnPurpose('fails on purpose')
  }

  private failsNow(what: string, id: number | string, oneOf: number): boolean {
    const name = `${what} ${id}`
    if (hash(name) % oneOf !== 0 || this.failed.has(name)) return false
    this.failed.add(name)
    return Array.from({ length: MOST_FAILURES }, (_, i) => `${name} failure ${i + 1}`).some((file) => this.createFile(file))
  }

  /** Whether it was not there: the file counts a failure for all processes of the run. */
  private createFile(name: string): boolean {
    try {
      closeSync(openSync(join(this.journal.directory, name), 'wx'))
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    }
  }
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0
  return value
}
