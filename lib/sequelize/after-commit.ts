// Runs work once a caller's transaction has committed for good: once the COMMIT of its root has succeeded. Sequelize's own afterCommit hooks
// also run after a failed COMMIT, and those of a nested transaction run before the outer commit.

import type { Transaction } from 'sequelize'
import { classOf, type InternalTransaction } from './internals.js'

interface Pending {
  transaction: Transaction
  work: () => Promise<void>
}

const pending = new WeakMap<Transaction, Pending[]>()

/**
 * Runs `work` after the root's commit, and never after a rollback. `work` must not reject. The commit waits for it, unless the root's COMMIT was
 * already sent: then `work` runs at once.
 */
export function afterCommit(transaction: Transaction, work: () => Promise<void>): void {
  const root = rootOf(transaction)
  if (root.finished) {
    if (!wasRolledBack(transaction)) void work()
    return
  }
  const queue = pending.get(root)
  if (queue) {
    queue.push({ transaction, work })
    return
  }
  const first = [{ transaction, work }]
  pending.set(root, first)
  const { commit, forceCleanup } = root
  let failed = false
  // Sequelize calls it if COMMIT itself has failed; a commit may also reject although it succeeded, because a hook of the caller threw.
  root.forceCleanup = function (this: InternalTransaction) {
    failed = true
    return forceCleanup?.call(this) ?? Promise.resolve()
  }
  root.commit = async function (this: InternalTransaction) {
    try {
      await commit.call(this)
    } finally {
      pending.delete(root)
      const committed = failed ? [] : first.splice(0).filter((entry) => !wasRolledBack(entry.transaction))
      await Promise.all(committed.map((entry) => entry.work()))
    }
  }
}

/** The transaction to write in: the caller's, or that of Sequelize's CLS namespace if there is one; `null` asks for none. */
export function transactionOf(given: Transaction | null | undefined, sequelize: object): Transaction | undefined {
  if (given !== undefined) return given ?? undefined
  return classOf(sequelize)._cls?.get('transaction') ?? undefined
}

function rootOf(transaction: InternalTransaction): InternalTransaction {
  let root = transaction
  while (root.parent) root = root.parent
  return root
}

function wasRolledBack(transaction: InternalTransaction): boolean {
  for (let level: InternalTransaction | null | undefined = transaction; level; level = level.parent)
    if (level.finished === 'rollback') return true
  return false
}
