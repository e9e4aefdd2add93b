// Postgres's clock, as this process estimates it: one estimate for each database of the shop, read with each settlement's BEGIN and every few seconds.

import type { Sequelize } from 'sequelize'
import { ClockEstimate } from '../clock-estimate.js'

/** A column of each reading, in milliseconds. By `date_part`, since `extract` computes in numeric, which takes three times as long. */
export const NOW_SQL = `date_part('epoch', clock_timestamp()) * 1000 AS order_timers_now`

export interface NowRow {
  order_timers_now?: unknown
}

const estimates = new WeakMap<Sequelize, ClockEstimate>()

export function postgresClock(sequelize: Sequelize): ClockEstimate {
  const known = estimates.get(sequelize)
  if (known) return known
  const estimate = new ClockEstimate()
  estimates.set(sequelize, estimate)
  return estimate
}

/** @param askedAt when the statement was sent, by `performance.now()`; it has been answered now */
export function notePostgresClock(sequelize: Sequelize, row: NowRow | undefined, askedAt: number): void {
  const now = Number(row?.order_timers_now)
  if (Number.isFinite(now)) postgresClock(sequelize).note(now, askedAt, performance.now())
}
