// How orders were settled by their deadlines, as the timers' own history has it.

import { QueryTypes } from 'sequelize'
import { config } from '../config.js'
import { type Order, sequelize } from '../models.js'

export interface Settled {
  deadline: Date
  settled_at: Date
  /** As Postgres measured it. */
  lateness_ms: number
  via: string
}

/** By the order's id; none for an order that somebody moved by hand since, or that no deadline has settled. */
export async function settledOf(orders: readonly Order[]): Promise<Map<number, Settled>> {
  const latest = await sequelize.query<Settled & { order_id: string; to_status: string }>(
    `SELECT DISTINCT ON (order_id) order_id, to_status, deadline, settled_at, lateness_ms, via FROM "${config.schema}".order_timers_history
     WHERE order_id = ANY($1) AND reminder = '' ORDER BY order_id, id DESC`,
    { bind: [orders.map(({ id }) => String(id))], type: QueryTypes.SELECT },
  )
  const statuses = new Map(orders.map(({ id, status }) => [id, String(status)]))
  return new Map(latest.filter((one) => one.to_status === statuses.get(Number(one.order_id))).map((one) => [Number(one.order_id), one]))
}
