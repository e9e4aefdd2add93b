// What the shop is told by its environment. The durations are seconds, so that one can watch; a real shop's are '15m' and '24h'.

import { type Duration, duration } from 'express-order-timers'

export interface Config {
  databaseUrl: string
  redisUrl: string
  /** The Postgres schema of the shop's tables, so that it can be tried in a database that is used for something else too. */
  schema: string
  /** Goes before the timers' keys in Redis. */
  prefix: string
  port: number
  payAfter: Duration
  confirmAfter: Duration
}

export function readConfig(env: NodeJS.ProcessEnv): Config {
  return {
    databaseUrl: env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres',
    redisUrl: env.REDIS_URL ?? 'redis://127.0.0.1:6379',
    schema: env.SHOP_SCHEMA ?? 'order_timers_example',
    prefix: env.SHOP_PREFIX ?? '',
    port: Number(env.PORT ?? 3000),
    payAfter: duration(env.PAY_AFTER ?? '20s'),
    confirmAfter: duration(env.CONFIRM_AFTER ?? '30s'),
  }
}

export const config = readConfig(process.env)

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

export function millisecondsOf(time: Duration): number {
  const [, number, unit = 'ms'] = /^([\d.]+)([a-z]*)$/.exec(String(time)) ?? []
  return Number(number) * UNITS[(unit || 'ms') as keyof typeof UNITS]
}
