// What any of the shop's processes can do to an order that is there: a call of the timers, or a write of its own, by Sequelize or past it. As plain
// data, an act can be handed to another process, so that several do something to one order at the same time.

import { QueryTypes, type Sequelize, Transaction } from 'sequelize'
import type { Feature } from '../history.js'
import { type ChaosTimers, factsOf, type RuleKind } from '../rules.js'
import type { TableName, Tables } from '../tables.js'
import { NotThere, OutcomeUnknown, RolledBack } from './answers.js'
import type { Got, Wishes } from './wishes.js'

type Status = number | string

export type Deed =
  | { call: 'schedule'; after?: number; at?: number }
  | { call: 'extend'; by: number }
  | { call: 'cancel' | 'pause' | 'resume' | 'retry' | 'remove' }
  | { call: 'write' | 'rawSql'; from?: Status; to?: Status; set?: Record<string, unknown> }

export type Act = { kind: RuleKind; id: string; feature?: Feature; inTransaction?: boolean } & Deed

const FEATURE_OF: Partial<Record<Deed['call'], Feature>> = {
  extend: 'extend',
  cancel: 'cancel',
  pause: 'pause',
  resume: 'pause',
  retry: 'dead',
}

export class Acts {
  constructor(
    private readonly sequelize: Sequelize,
    private readonly tables: Tables,
    private readonly timers: ChaosTimers,
    private readonly wishes: Wishes,
  ) {}

  /** Never rejects. @returns what was answered, or undefined */
  do(act: Act): Promise<Got | undefined> {
    const { kind, id, call, inTransaction = false, ...asked } = act
    const feature = act.feature ?? FEATURE_OF[call]
    const n = this.wishes.number()
    return this.wishes.make({ kind, id, call, n, asked, ...(feature && { feature }) }, () =>
      inTransaction ? this.transaction((transaction) => this.perform(act, n, transaction)) : this.perform(act, n),
    )
  }

  /** A write and a call about it in one transaction, which are answered together. */
  async doBoth(write: Act, call: Act): Promise<Got | undefined> {
    const [first, second] = [this.wishes.number(), this.wishes.number()]
    const ask = ({ kind, id, call, ...asked }: Act, n: number) => {
      const feature = asked.feature ?? FEATURE_OF[call]
      return { kind, id, call, n, asked, ...(feature && { feature }) }
    }
    const gots = await this.wishes.makeAll([ask(write, first), { ...ask(call, second), within: first }], () =>
      this.transaction(async (transaction) => [
        await this.perform(write, first, transaction),
        await this.perform(call, second, transaction),
      ]),
    )
    return gots?.[1]
  }

  /**
   * One COMMIT, and it is known whether it was sent.
   * @throws RolledBack before, OutcomeUnknown after
   */
  async transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    let transaction: Transaction
    try {
      transaction = await this.sequelize.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS.READ_COMMITTED })
    } catch (cause) {
      throw new RolledBack('no transaction', { cause })
    }
    let result: T
    try {
      result = await work(transaction)
    } catch (cause) {
      await transaction.rollback().catch(() => {})
      throw new RolledBack('rolled back', { cause })
    }
    await transaction.commit().catch((cause) => {
      throw new OutcomeUnknown('COMMIT was not answered', { cause })
    })
    return result
  }

  private async perform(act: Act, n: number, transaction?: Transaction): Promise<Got> {
    const { kind, id, call } = act
    const options = transaction ? { transaction } : {}
    if (call === 'write' || call === 'rawSql') return this.write(act, n, transaction)
    if (call === 'remove') return this.remove(act, transaction)
    if (call === 'retry') {
      await this.timers.retry(kind, id)
      return {}
    }
    const timer =
      call === 'schedule'
        ? await this.timers.schedule(kind, id, { ...options, ...(act.at === undefined ? { after: act.after } : { at: act.at }) })
        : call === 'extend'
          ? await this.timers.extend(kind as 'order_confirm', id, act.by, options)
          : await this.timers[call](kind as 'order_confirm', id, options)
    return { deadline: timer.deadline?.getTime() ?? null, armed: timer.armed }
  }

  private async write(act: Act & { call: 'write' | 'rawSql' }, n: number, transaction?: Transaction): Promise<Got> {
    const { kind, id, call, from, to, set = {} } = act
    const table = factsOf(kind).table as TableName
    const values: Record<string, unknown> = { ...set, ...(to !== undefined && { status: to }), wish: n }
    const where = { id, ...(from !== undefined && { status: from }) }
    const written =
      call === 'write'
        ? (
            await (this.tables[table] as Tables['orders']).update(values as never, { where, ...(transaction && { transaction }) } as never)
          )[0]
        : await this.writeRaw(table, values, where, transaction)
    if (written === 0) throw new NotThere('no row was written')
    return {}
  }

  private async writeRaw(table: TableName, values: Record<string, unknown>, where: object, transaction?: Transaction): Promise<number> {
    const instants = Object.entries(values).map(([column, value]) => [column, value instanceof Date ? value.toISOString() : value] as const)
    const bind = [...instants.map(([, value]) => value), ...Object.values(where)]
    const assignments = instants.map(([column], i) => `"${column}" = $${i + 1}`)
    const conditions = Object.keys(where).map((column, i) => `"${column}" = $${instants.length + i + 1}`)
    const sql = `UPDATE ${table} SET ${assignments.join(', ')} WHERE ${conditions.join(' AND ')}`
    const [, written] = await this.sequelize.query(sql, { bind, type: QueryTypes.UPDATE, ...(transaction && { transaction }) })
    return written
  }

  private async remove({ kind, id }: Act, transaction?: Transaction): Promise<Got> {
    const table = factsOf(kind).table as TableName
    const removed = await (this.tables[table] as typeof this.tables.carts).destroy({
      where: { id },
      force: true,
      ...(transaction && { transaction }),
    })
    if (removed === 0) throw new NotThere('no row was removed')
    return {}
  }
}
