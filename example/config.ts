// What the shop is told by its environment. The durations are seconds, so that one can watch; a real shop's are '15m' and '24h'.

import { type Duration, duration } from 'express-order-timers'

export interface Config {
  databaseUrl: string
  redisUrl: string
  /** The Postgres schema of the shop's tables, so that it can be tried in a database that is used for something else too. */
  schema: string
  /** Goes before the timers' keys in Redis, and is all that tells them from those of others: the demo's breaks remove what begins with it. */
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
    prefix: env.SHOP_PREFIX || 'order_timers_example:',
    port: Number(env.PORT ?? 3000),
    payAfter: duration(env.PAY_AFTER ?? '20s'),
    confirmAfter: duration(env.CONFIRM_AFTER ?? '30s'),
  }
}

export const config = readConfig(process.env)

/** What a command needs to find this shop, as it is typed after `export`. A URL's password is not shown. */
export function environmentOf(env: NodeJS.ProcessEnv): string {
  const { databaseUrl, redisUrl } = readConfig(env)
  const others = ['SHOP_SCHEMA', 'SHOP_PREFIX', 'PAY_AFTER', 'CONFIRM_AFTER'].filter((name) => env[name])
  const values = { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, ...Object.fromEntries(others.map((name) => [name, env[name]])) }
  return Object.entries(values)
    .map(([name, value]) => `${name}='${String(value).replace(/(:\/\/[^/@]*:)[^/@]*(?=@)/, '$1…')}'`)
    .join(' ')
}

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

export function millisecondsOf(time: Duration): number {
  const [, number, unit = 'ms'] = /^([\d.]+)([a-z]*)$/.exec(String(time)) ?? []
  return Number(number) * UNITS[(unit || 'ms') as keyof typeof UNITS]
}
