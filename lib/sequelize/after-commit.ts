// Runs work once a caller's transaction has committed for good: once the COMMIT of its root has succeeded. Sequelize's own afterCommit hooks
// also run after a failed COMMIT, and those of a nested transaction run before the outer commit.

import type { Transaction } from 'sequelize'
import { classOf, type InternalTransaction, type PoolConnection } from './internals.js'

/** What a call leaves of one timer. */
export interface LeftTimer {
  /** Its name, with the prefix of its keys. */
  name: string
  /** Null if there is none any more. */
  deadlineMs: number | null
}

interface Pending {
  transaction: Transaction
  work: () => Promise<void>
  timer: LeftTimer | undefined
}

const pending = new WeakMap<Transaction, Pending[]>()

/**
 * Runs `work` after the root's commit, and never after a rollback. `work` must not reject. The commit waits for it, unless the root's COMMIT was
 * already sent: then `work` runs at once.
 * @param timer works about the same timer run one after the other
 */
export function afterCommit(transaction: Transaction, work: () => Promise<void>, timer?: LeftTimer): void {
  const root = rootOf(transaction)
  if (root.finished) {
    if (!wasRolledBack(transaction)) void work()
    return
  }
  const queue = pending.get(root)
  if (queue) {
    queue.push({ transaction, work, timer })
    return
  }
  const first: Pending[] = [{ transaction, work, timer }]
  pending.set(root, first)
  const { commit, forceCleanup } = root
  let failed = false
  // Sequelize calls it if COMMIT itself has failed; a commit may also reject although it succeeded, because a hook of the caller threw.
  root.forceCleanup = function (this: InternalTransaction) {
    failed = true
    return forceCleanup?.call(this) ?? Promise.resolve()
  }
  root.commit = async function (this: InternalTransaction) {
    const endListening = listenForRollback(this.connection, () => {
      failed = true
    })
    try {
      await commit.call(this)
    } finally {
      endListening()
      pending.delete(root)
      const committed = failed ? [] : first.splice(0).filter((entry) => !wasRolledBack(entry.transaction))
      await runAll(committed)
    }
  }
}

/**
 * COMMIT of a transaction in which the shop's code swallowed an SQL error rolls it back, without an error: only its command tag shows that.
 * @returns ends the listening, and calls `onRollback` if it did
 */
export function listenForRollback({ connection: wire }: PoolConnection = {}, onRollback: () => void): () => void {
  let tag: string | undefined
  const listener = ({ text }: { text?: string }) => {
    if (tag !== 'COMMIT' && (text === 'COMMIT' || text === 'ROLLBACK')) tag = text
  }
  wire?.on?.('commandComplete', listener)
  return () => {
    wire?.off?.('commandComplete', listener)
    if (tag === 'ROLLBACK') onRollback()
  }
}

async function runAll(entries: readonly Pending[]): Promise<void> {
  const ends = new Map<string, Promise<void>>()
  const run = ({ work, timer }: Pending): Promise<void> => {
    const end = ends.get(timer?.name ?? '')?.then(work) ?? work()
    if (timer) ends.set(timer.name, end)
    return end
  }
  await Promise.all(entries.map(run))
}

/** What the last call about a timer within this transaction leaves; undefined if there was none. */
export function leftInTransaction(transaction: Transaction, name: string): LeftTimer | undefined {
  const entries = pending.get(rootOf(transaction)) ?? []
  return entries.findLast(({ timer, transaction }) => timer?.name === name && !wasRolledBack(transaction))?.timer
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
