// The shop's code within a settling transaction: its hooks, one instance after the other (`individualHooks`), and its `run`.

import type { Model, Transaction } from 'sequelize'
import type { SettledRows } from './row-rule.js'
import type { SettleWork } from './settlement.js'

/** How many orders `run` gets at most; of a larger batch it gets one portion after the other. */
export const PORTION = 100

export class OwnWork {
  constructor(private readonly row: SettledRows) {}

  private get savesInstances(): boolean {
    return this.row.move?.individualHooks === true
  }

  get exists(): boolean {
    return this.savesInstances || this.row.options.run !== undefined
  }

  /**
   * Whether the orders must be checked afterwards: after our own UPDATE they are certainly settled, after the shop's code only
   * their rows show it.
   */
  get mustBeChecked(): boolean {
    return this.savesInstances || (!this.row.move && this.row.guard.deadlineColumn !== undefined)
  }

  /**
   * Ends when `work.signal` is aborted, so that the transaction rolls back at once and frees its locks and its connection, even if the shop's
   * promise never settles.
   */
  async run(instances: Model[], work: SettleWork, transaction: Transaction): Promise<void> {
    await Promise.race([this.carryOut(instances, work.signal, transaction), aborted(work.signal)])
  }

  private async carryOut(instances: Model[], signal: AbortSignal, transaction: Transaction): Promise<void> {
    if (this.savesInstances) for (const instance of instances) await this.save(instance, transaction)
    const { run } = this.row.options
    if (!run) return
    for (let first = 0; first < instances.length; first += PORTION) {
      signal.throwIfAborted()
      await run(instances.slice(first, first + PORTION), { transaction, signal })
    }
  }

  /** Sets stored values: a setter of the model would expect presented ones. */
  private save(instance: Model, transaction: Transaction): Promise<unknown> {
    const { move, deadline } = this.row
    const values = {
      ...this.row.set,
      ...(move ? { [move.status]: move.to } : {}),
      ...(deadline.in === 'column' ? { [deadline.attribute]: null } : {}),
    }
    for (const [name, value] of Object.entries(values)) instance.setDataValue(name as never, value as never)
    return instance.save({ transaction })
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}
