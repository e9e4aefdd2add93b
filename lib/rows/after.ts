// `after` as a function of the order: what it is told, and what may come of it.

import { types } from 'node:util'
import type { Model, Sequelize, Transaction } from 'sequelize'
import { type Duration, parseDuration, parseInstant } from '../duration.js'
import { OrderTimersError, show } from '../errors.js'
import { rows } from '../sequelize/database.js'
import { epochMsSql, wholeMsSql } from './instant-sql.js'

/** What a function `after` is told besides the order. */
export interface AboutAfter {
  /** When the deadline begins to count, by Postgres's clock: now, or the attribute that `backfill.since` names. */
  from: Date
}

export type AfterFunction = (order: Model, about: AboutAfter) => Duration | Date | null

/** A deadline that `after` gave an order: so long from now, at an instant, or none. */
export type OrdersDeadline = { afterMs: number } | { atMs: number } | null

/** When the deadlines of one statement begin to count. */
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
      // For a function whose second parameter has a default, which JavaScript does not count.
      get from(): never {
        throw new OrderTimersError('INVALID_OPTION', `${rule}: "after" is told "from" only where its second parameter has no default`)
      },
    }
  }

  /**
   * @param from asked only where the function takes it, and where it returns a Date, which must be later
   * @throws OrderTimersError INVALID_DURATION, INVALID_DEADLINE, and what the function throws
   */
  async ask(order: Model, from: From): Promise<OrdersDeadline> {
    const given = this.after(order, this.takesFrom ? { from: await from() } : this.unasked)
    if (given === null) return null
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

/** Postgres's clock, read once however often it is asked. */
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
