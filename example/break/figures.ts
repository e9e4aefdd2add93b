// What the live strip shows: how the last minute's orders were settled, as the timers' own history has it, and what is overdue.

import { QueryTypes } from 'sequelize'
import { config, millisecondsOf } from '../config.js'
import { PLACED, SHIPPED, sequelize } from '../models.js'

export interface Figures {
  settled: number
  /** Milliseconds from the deadline to the settlement. */
  median: number
  latest: number
  alarm: number
  event: number
  sweep: number
  early: number
  twice: number
  overdue: number
  /** Overdue for 15 s, which is three sweeps, and not held, although a worker has run for as long. */
  lost: number
}

const LOST_MS = 15_000

/** @param runsSince since when a worker runs, by Date.now() */
export async function readFigures(runsSince = Number.POSITIVE_INFINITY): Promise<Figures> {
  const schema = `"${config.schema}"`
  const [figures] = await sequelize.query<Figures>(
    `WITH last AS (SELECT * FROM ${schema}.order_timers_history WHERE reminder = '' AND settled_at > now() - interval '1 minute'),
       due AS (
         SELECT 'order_pay' AS kind, "createdAt" + $1 * interval '1 millisecond' AS at FROM ${schema}.shop_orders WHERE status = ${PLACED}
         UNION ALL SELECT 'order_confirm', "confirmDueAt" FROM ${schema}.shop_orders WHERE status = ${SHIPPED} AND "confirmDueAt" IS NOT NULL)
     SELECT count(*)::int AS settled, coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY lateness_ms), 0)::float8 AS median,
       coalesce(max(lateness_ms), 0)::float8 AS latest,
       count(*) FILTER (WHERE via = 'alarm')::int AS alarm, count(*) FILTER (WHERE via = 'event')::int AS event,
       count(*) FILTER (WHERE via = 'sweep')::int AS sweep, count(*) FILTER (WHERE lateness_ms < 0)::int AS early,
       (count(*) - count(DISTINCT (kind, order_id, deadline)))::int AS twice,
       (SELECT count(*) FROM due WHERE at < now() - interval '1 second')::int AS overdue,
       (SELECT count(*) FROM due WHERE $2 AND at < now() - $3 * interval '1 millisecond' AND NOT EXISTS (
         SELECT FROM ${schema}.order_timers_holds h WHERE h.kind = due.kind AND h.state <> 'released'))::int AS lost
     FROM last`,
    { bind: [millisecondsOf(config.payAfter), Date.now() - runsSince > LOST_MS, LOST_MS], type: QueryTypes.SELECT },
  )
  return figures as Figures
}
