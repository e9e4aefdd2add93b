// A burst of orders that a web process schedules while a server fails: evenly over some seconds, each due within seconds of its call. Calls are
// counted by what they came to; a request may never fail because of Redis.

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { confirming, countIn, promisesHeld } from '../faults/confirming.js'
import type { Database } from '../support/database.js'
import { makeTimers } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

type Timers = ReturnType<typeof makeTimers<ReturnType<ReturnType<typeof confirming>>>>

const OVER_MS = 8_000
/** So many calls at once: no more than a pool has connections, or a call might wait for one for too long. */
const LANES = 4
const DUE_MS = { least: 300, most: 4_000 }

export interface Burst {
  /** When half of the calls are made. */
  half: Promise<void>
  /** When all calls are answered, and by how many the timer was armed. */
  done: Promise<{ armed: number; notArmed: number }>
}

/** A web process: timers that start no worker. */
export function webProcess(
  database: Database,
  options: Parameters<typeof makeTimers>[1],
  connection: Parameters<Database['connectSequelize']>[0] = {},
): Timers {
  const { sequelize, Order } = database.connectSequelize(connection)
  return makeTimers(confirming()({ ...database, sequelize, Order }), options)
}

interface BurstOptions {
  /** Postgres goes away meanwhile: a call that fails so is repeated, as its error says. No call may fail otherwise. */
  failsOver?: boolean
}

export function burst(database: Database, timers: Timers, count: number, { failsOver = false }: BurstOptions = {}): Burst {
  let half = (): void => {}
  const reached = new Promise<void>((resolve) => {
    half = resolve
  })
  const schedule = async (id: number): Promise<boolean> => {
    const after = DUE_MS.least + Math.floor(Math.random() * (DUE_MS.most - DUE_MS.least))
    for (let isRepeated = false; ; isRepeated = true) {
      try {
        return (await timers.schedule('order_confirm', id, { after })).armed === true
      } catch (error) {
        const { status, code } = error as { status?: number; code?: string }
        // The first call was carried out, although its answer was lost, and the order has been settled since.
        if (isRepeated && code === 'ERR_ORDER_TIMERS_ORDER_NOT_IN_FROM') return true
        if (!failsOver || status !== 503) throw error
        await delay(100)
      }
    }
  }
  const run = async () => {
    const orders = await database.Order.bulkCreate(Array.from({ length: count }, () => ({ status: 4 })))
    const beganAt = performance.now()
    let next = 0
    let armed = 0
    const lane = async (): Promise<void> => {
      for (let i = next++; i < count; i = next++) {
        if (i >= count / 2) half()
        await delay(Math.max(0, beganAt + (OVER_MS * i) / count - performance.now()))
        if (await schedule(orders[i]!.id)) armed += 1
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    return { armed, notArmed: count - armed }
  }
  const done = run()
  done.catch(() => half())
  return { half: reached, done }
}

/** All are settled, each once and not early, and none later than this. */
export async function allWereSettled(
  database: Database,
  count: number,
  { lateMs, within }: { lateMs: number; within: number },
): Promise<void> {
  await waitUntil(async () => (await countIn(database, 5)) === count, { within, what: `${count} orders to be confirmed`, every: 200 })
  await promisesHeld(database)
  const lateness = await database.ledger.lateness()
  assert.equal(lateness.length, count)
  const most = lateness.at(-1) as number
  assert.ok(most < lateMs, `late by ${most} ms`)
}
