// Workers in processes of their own for a test's shop, over proxies that can hold a request back, and what their effects came to.

import assert from 'node:assert/strict'
import type { Database } from '../support/database.js'
import type { TestRedis } from '../support/redis.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import type { WorkerConfig } from '../support/worker-process.js'

interface Backends {
  database: Database
  redis: TestRedis
}

export interface Proxies {
  redis: TcpProxy
  postgres: TcpProxy
}

export async function openProxies(shop: Backends): Promise<Proxies> {
  return { redis: await TcpProxy.start(portOf(shop.redis.url)), postgres: await TcpProxy.start(portOf(shop.database.url)) }
}

export async function closeProxies({ redis, postgres }: Proxies): Promise<void> {
  await Promise.all([redis.stop(), postgres.stop()])
}

/** A worker's configuration: straight to the servers, or through proxies. Its claims lapse after a second. */
export function workerConfig(shop: Backends, name: string, proxies?: Proxies): WorkerConfig {
  return {
    databaseUrl: proxies ? withPort(shop.database.url, proxies.postgres.port) : shop.database.url,
    schema: shop.database.schema,
    redisUrl: proxies ? withPort(shop.redis.url, proxies.redis.port) : shop.redis.url,
    prefix: shop.redis.prefix,
    rules: new URL('./effect-rules.ts', import.meta.url).href,
    name,
    fallback: '* * * * * *',
    leaseMs: 1000,
  }
}

export async function createEffects(shop: Backends): Promise<void> {
  await shop.database.client.query('CREATE TABLE effects (order_id int NOT NULL)')
}

/** One effect for each of so many orders. */
export async function effectsWereOnce(shop: Backends, count: number): Promise<void> {
  const sql = 'SELECT count(*)::int AS effects, count(DISTINCT order_id)::int AS orders FROM effects'
  const { rows } = await shop.database.client.query(sql)
  assert.deepEqual(rows, [{ effects: count, orders: count }])
}

export function portOf(url: string): number {
  return Number(new URL(url).port)
}

export function withPort(url: string, port: number): string {
  const moved = new URL(url)
  moved.port = String(port)
  return moved.href
}
