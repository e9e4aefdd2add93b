// What any of the shop's processes can do to an order that is there: a call of the timers, or a write of its own, by Sequelize or past it. As plain
// data, an act can be handed to another process, so that several do something to one order at the same time.

import { QueryTypes, type Sequelize, Transaction } from 'sequelize'
import type { Feature } from '../history.js'
import { type ChaosTimers, factsOf, type RuleKind } from '../rules.js'
import type { Rows, ShopRow, TableName, Tables } from '../tables.js'
import { NotThere, OutcomeUnknown, RolledBack } from './answers.js'
import type { Got, Wishes } from './wishes.js'

type Status = number | string
/** The calls that only read. */
type Reading = 'remaining' | 'list'

export type Deed =
  | { call: 'schedule'; after?: number; at?: number }
  | { call: 'extend'; by: number }
  | { call: 'cancel' | 'pause' | 'resume' | 'retry' | 'remove' | Reading }
  | { call: 'write' | 'rawSql'; from?: Status; to?: Status; set?: Record<string, unknown> }

export type Act = { kind: RuleKind; id: string; feature?: Feature; inTransaction?: boolean } & Deed

const FEATURE_OF: Partial<Record<Deed['call'], Feature>> = {
  extend: 'extend',
  cancel: 'cancel',
  pause: 'pause',
  resume: 'pause',
  retry: 'dead',
  remaining: 'remaining',
  list: 'list',
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

  /** One call about several orders, which reads them. */
  async readAll(kind: RuleKind, ids: readonly string[], call: Reading): Promise<void> {
    const n = this.wishes.number()
    const asks = ids.map((id) => ({ kind, id, call, n, feature: call }) as const)
    await this.wishes.makeAll(asks, () => this.read(kind, ids, call, {}, true))
  }

  /**
   * A write and a call about it in one transaction, which are answered together.
   * @param way `cls`: the transaction is passed to neither
   */
  async doBoth(write: Act, call: Act, way: 'passed' | 'cls' = 'passed'): Promise<Got | undefined> {
    const [first, second] = [this.wishes.number(), this.wishes.number()]
    const ask = ({ kind, id, call, ...asked }: Act, n: number) => {
      const feature = asked.feature ?? FEATURE_OF[call]
      return { kind, id, call, n, asked, ...(feature && { feature }) }
    }
    const perform = async (transaction?: Transaction) => [
      await this.perform(write, first, transaction),
      await this.perform(call, second, transaction),
    ]
    const cls = way === 'cls' && ({ feature: 'cls' } as const)
    const gots = await this.wishes.makeAll(
      [
        { ...ask(write, first), ...cls },
        { ...ask(call, second), ...cls, within: first },
      ],
      () => (cls ? this.clsTransaction(() => perform()) : this.transaction(perform)),
    )
    return gots?.[1]
  }

  /**
   * The same as `transaction`, by Sequelize's own: whatever is done within it finds the transaction in the CLS namespace.
   * @throws RolledBack, OutcomeUnknown
   */
  private async clsTransaction<T>(work: () => Promise<T>): Promise<T> {
    let isDone = false
    try {
      return await this.sequelize.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS.READ_COMMITTED }, async () => {
        const result = await work()
        isDone = true
        return result
      })
    } catch (cause) {
      throw isDone ? new OutcomeUnknown('COMMIT was not answered', { cause }) : new RolledBack('rolled back', { cause })
    }
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
    if (call === 'remaining' || call === 'list') return (await this.read(kind, [id], call, options))[0] as Got
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

  /** `list` is given instances: an id alone would be looked for under every rule. */
  private async read(
    kind: RuleKind,
    ids: readonly string[],
    call: Reading,
    options: { transaction?: Transaction },
    asMany = false,
  ): Promise<Got[]> {
    if (call === 'remaining') {
      const remaining = asMany
        ? await this.timers.remaining(kind, ids, options)
        : [await this.timers.remaining(kind, ids[0] as string, options)]
      return remaining.map((ms) => ({ remaining: ms }))
    }
    const model = this.tables[factsOf(kind).table as TableName] as Rows
    const orders = ids.map((id) => model.build({ id }, { isNewRecord: false, raw: true }))
    const lists = asMany ? await this.timers.list(orders, options) : [await this.timers.list(orders[0] as ShopRow, options)]
    return lists.map((list) => ({
      list: list.map(({ kind: of, deadline, remaining }) => ({ kind: of, deadline: deadline.getTime(), remaining })),
    }))
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
