// Tables, rows, and who has locked them. Each row has its committed version and at most one that an open transaction has written: nobody else sees
// that, and whoever wants to write or lock the row waits for that transaction, or skips the row.

import type { Type, Value } from './values.js'

export interface Column {
  name: string
  type: Type
  required?: boolean
  default?: (table: Table) => Value
}

export interface StoredRow {
  key: number
  committed: Value[] | undefined
  written: { by: Transaction; values: Value[] | undefined } | undefined
  lockedBy: Transaction | undefined
}

/** A statement that cannot go on before this transaction has ended. */
export class MustWait {
  constructor(readonly holder: Transaction) {}
}

export class Table {
  readonly rows = new Map<number, StoredRow>()
  lastId = 0
  private lastKey = 0

  constructor(
    readonly name: string,
    readonly columns: readonly Column[],
    /** Called for each row that is written, within its transaction. */
    readonly onChange: (by: Transaction, before: Value[] | undefined, after: Value[] | undefined) => void = () => {},
  ) {}

  indexOf(column: string): number {
    return this.columns.findIndex(({ name }) => name === column)
  }

  *visibleTo(transaction: Transaction): Iterable<{ row: StoredRow; values: Value[] }> {
    for (const row of this.rows.values()) {
      const values = valuesFor(row, transaction)
      if (values) yield { row, values }
    }
  }

  insert(by: Transaction, values: Value[]): void {
    const row: StoredRow = { key: ++this.lastKey, committed: undefined, written: { by, values }, lockedBy: by }
    this.rows.set(row.key, row)
    by.touched.push({ table: this, row })
    this.onChange(by, undefined, values)
  }

  /** The row must be locked by the transaction. */
  write(by: Transaction, row: StoredRow, values: Value[] | undefined): void {
    const before = valuesFor(row, by)
    row.written = { by, values }
    this.onChange(by, before, values)
  }

  /** @returns whether it is locked by the transaction now; false where another has it and it is to be skipped */
  lock(by: Transaction, row: StoredRow, skips: boolean): boolean {
    if (row.lockedBy === by) return true
    if (row.lockedBy) {
      if (skips) return false
      throw new MustWait(row.lockedBy)
    }
    row.lockedBy = by
    by.touched.push({ table: this, row })
    return true
  }
}

function valuesFor({ written, committed }: StoredRow, transaction: Transaction): Value[] | undefined {
  return written?.by === transaction ? written.values : committed
}

export class Transaction {
  readonly touched: { table: Table; row: StoredRow }[] = []
  readonly advisoryLocks = new Set<string>()
  /** What is done when it commits. */
  readonly atCommit: (() => void)[] = []
  /** Statements that wait for its end. */
  readonly waiting: (() => void)[] = []
  aborted = false
  ended = false

  constructor(
    readonly id: number,
    readonly application: string,
    /** Microseconds since 1970: what `now()` says. */
    readonly startedAt: number,
    /** BEGIN was said; otherwise it ends with its statement. */
    public explicit = false,
  ) {}

  end(commits: boolean): void {
    this.ended = true
    for (const { table, row } of this.touched) {
      if (row.written?.by === this) {
        if (commits) row.committed = row.written.values
        row.written = undefined
      }
      if (row.lockedBy === this) row.lockedBy = undefined
      if (!row.committed && !row.written) table.rows.delete(row.key)
    }
    if (commits) for (const act of this.atCommit) act()
    for (const goOn of this.waiting.splice(0)) goOn()
  }
}
