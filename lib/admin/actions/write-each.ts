// Writes the deadlines of an action's orders, all in one statement. If a trigger or a constraint of the shop's refuses that, each order is written by
// itself, so that one of them does not keep back the others.

import type { Sequelize, Transaction } from 'sequelize'
import { errorText } from '../../error-text.js'
import { OrderTimersError } from '../../errors.js'
import type { NewDeadline } from '../../rows/deadline-sql.js'
import type { DeadlineWrites } from '../../rows/deadline-writes.js'
import type { RowState } from '../../rows/timer-state.js'
import { rows } from '../../sequelize/database.js'
import { faultOwnerOf } from '../../sequelize/fault-owner.js'

type Results = Map<string, number | null | OrderTimersError>

const SAVEPOINT = 'order_timers_write'

/**
 * @param states the orders' rows, which the transaction has locked
 * @returns for each of them its present deadline, or why it was refused
 * @throws what Postgres, or a wrong statement, fails with
 */
export async function writeEach(
  sequelize: Sequelize,
  kind: string,
  writes: DeadlineWrites,
  states: ReadonlyMap<string, RowState>,
  value: NewDeadline,
  transaction: Transaction,
): Promise<Results> {
  const write = (some: ReadonlyMap<string, RowState>) =>
    unlessRefused(sequelize, transaction, () => writes.writeAll(some, value, transaction))
  const all = await write(states)
  if (!('refusal' in all)) return all
  const results: Results = new Map()
  for (const one of states) {
    const [id] = one
    const written = await write(new Map([one]))
    results.set(id, 'refusal' in written ? refused(kind, id, written.refusal) : (written.get(id) as number | null | OrderTimersError))
  }
  return results
}

/** What `work` has written is undone if it is refused. */
async function unlessRefused<T>(sequelize: Sequelize, transaction: Transaction, work: () => Promise<T>): Promise<T | { refusal: unknown }> {
  await rows(sequelize, `SAVEPOINT ${SAVEPOINT}`, [], transaction)
  try {
    return await work()
  } catch (refusal) {
    if (!(refusal instanceof OrderTimersError) && faultOwnerOf(refusal) !== 'rule') throw refusal
    await rows(sequelize, `ROLLBACK TO SAVEPOINT ${SAVEPOINT}`, [], transaction)
    return { refusal }
  }
}

function refused(kind: string, id: string, cause: unknown): OrderTimersError {
  if (cause instanceof OrderTimersError) return cause
  const why = `a trigger or a constraint of the table refused it (${errorText(cause)})`
  return new OrderTimersError('VETOED', `orderTimers: ${kind}: order ${id} was not written: ${why}`, { cause })
}
