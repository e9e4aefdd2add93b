// `after` as a function of the order: its arguments and its result.

import { types } from 'node:util'
import type { Model, Sequelize, Transaction } from 'sequelize'
import { type Duration, parseDuration, parseInstant } from '../duration.js'
import { OrderTimersError, show } from '../errors.js'
import { rows } from '../sequelize/database.js'
import { epochMsSql, wholeMsSql } from './instant-sql.js'

/** The second argument of an `after` function. */
export interface AboutAfter {
  /** The start of the time, by Postgres's clock: now, or the attribute that `backfill.since` names. */
  from: Date
}

export type AfterFunction = (order: Model, about: AboutAfter) => Duration | Date | null

/** The result of `after`: a time from now, an instant, or no deadline. */
export type OrdersDeadline = { afterMs: number } | { atMs: number } | null

/** The start of the deadlines of one statement. */
export type From = () => Promise<Date> | Date

export class AfterOfOrder {
  private readonly where: string
  /** Whether it takes `from`: reading Postgres's clock costs a round trip. */
  private readonly takesFrom: boolean
  private readonly unasked: AboutAfter

  constructor(
    kind: string,
    private readonly after: AfterFunction,
  ) {
    const rule = `orderTimers: rule "${kind}"`
    this.where = `${rule}: what "after" returned`
    this.takesFrom = after.length > 1
    this.unasked = {
      // For a function whose second parameter has a default: JavaScript does not count it in `length`.
      get from(): never {
        throw new OrderTimersError('INVALID_OPTION', `${rule}: "after" gets "from" only if its second parameter has no default`)
      },
    }
  }

  /**
   * @param from called only if the function takes it, or returns a Date, which must be later
   * @throws OrderTimersError INVALID_DURATION, INVALID_DEADLINE, and what the function throws
   */
  async ask(order: Model, from: From): Promise<OrdersDeadline> {
    const given = this.after(order, this.takesFrom ? { from: await from() } : this.unasked)
    if (given === null) return null
    if (types.isPromise(given)) given.catch(() => {}) // refused below; its rejection would end the process
    if (!types.isDate(given)) return { afterMs: parseDuration(this.where, given) }
    const atMs = parseInstant(this.where, given)
    const begins = await from()
    if (atMs > begins.getTime()) return { atMs }
    const remedy = 'return a later Date, a duration, or null for no deadline'
    throw new OrderTimersError(
      'INVALID_DEADLINE',
      `${this.where} must be later than ${begins.toISOString()}, got ${show(given)}; ${remedy}`,
    )
  }
}

const CLOCK = `SELECT ${epochMsSql(wholeMsSql('clock_timestamp()'))} AS now`

/** Postgres's time, read once. */
export function clockOnce(sequelize: Sequelize, transaction?: Transaction): From {
  let now: Promise<Date> | undefined
  const read = async () => {
    const [row] = await rows<{ now: number }>(sequelize, CLOCK, [], transaction)
    return new Date(Number(row?.now))
  }
  return () => {
    now ??= read()
    return now
  }
}
