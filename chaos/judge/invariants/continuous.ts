// The ledger has every change: each begins where the one before ended, and the last is what the row is at the end. Else a commit was lost.

import type { Change, Row } from '../../history.js'
import { type Breach, ofEachOrder } from '../invariant.js'
import type { Case, Order } from '../orders.js'
import { changedColumns } from '../wish-fits.js'

export const continuous = ofEachOrder(
  'continuous',
  'Each change of a row begins where the one before it ended, and the last is what the row is at the end.',
  function* (order, found) {
    const { changes } = order
    for (const [index, change] of changes.entries()) {
      const before = changes[index - 1]
      const differs = changedColumns(before ? before.to : change.op === 'insert' ? null : change.from, change.from)
      if (differs.length > 0) yield broken(differs, before, change)
    }
    yield* end(order, found)
  },
)

function* end({ table, id, changes }: Order, { run }: Case): Iterable<Breach> {
  const last = changes.at(-1)
  if (!last || table === null) return
  const differs = changedColumns(last.to, finalRow(run.rows, table, id))
  if (differs.length > 0) yield broken(differs, last, undefined)
}

const byName = new WeakMap<object, Map<string, Row>>()

function finalRow(rows: readonly { table: string; id: string; row: Row }[], table: string, id: string): Row | null {
  let found = byName.get(rows)
  if (!found) {
    found = new Map(rows.map((each) => [`${each.table} ${each.id}`, each.row]))
    byName.set(rows, found)
  }
  return found.get(`${table} ${id}`) ?? null
}

function broken(columns: string[], before: Change | undefined, change: Change | undefined): Breach {
  return { message: `${columns.join(', ')} changed and no line of the ledger says so`, evidence: { before, change } }
}
