// What a worker and a single pass of the sweep have in common, because both are assembled in one place.

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { sweepOnce } from '../../lib/admin/sweep-once.js'
import { type Rules, transition } from '../../lib/index.js'
import { Brake } from '../../lib/rows/brake.js'
import type { Database } from '../support/database.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

/** Three batches of a rule with `run`, each of which takes longer than a transaction waits for a lock. */
const ORDERS = 250
const RUN_MS = 400

describe('a worker and a single sweep', () => {
  let shop: Shop<Rules>
  let running: number
  let mostRunning: number

  beforeEach(() => {
    running = 0
    mostRunning = 0
  })
  afterEach(() => shop.close())

  const run = async () => {
    running += 1
    mostRunning = Math.max(mostRunning, running)
    await delay(RUN_MS)
    running -= 1
  }
  const open = async (more: object) => {
    const confirm = { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', run } as const
    shop = await openShop(({ Order }: Database): Rules => ({ order_confirm: transition(Order, { ...confirm, ...more }) }))
    for (const sql of Brake.createSql('order_timers_brakes')) await shop.database.client.query(sql)
    const orders = Array.from({ length: ORDERS }, () => ({ status: 4, confirmDueAt: new Date(Date.now() - 60_000) }))
    await shop.database.Order.bulkCreate(orders)
  }
  const settle = {
    'a worker': async () => {
      const worker = await shop.worker({ fallback: false })
      await waitUntil(() => worker.health().busy === 0)
      const { settled, locked } = worker.health().kinds.order_confirm as { settled: number; locked: number }
      return { settled, left: locked }
    },
    'a single sweep': async () => {
      const { kinds } = await sweepOnce(runtimeOf(shop.timers))
      return { settled: kinds.order_confirm?.settled, left: kinds.order_confirm?.left }
    },
  }

  for (const [who, settled] of Object.entries(settle)) {
    it(`settle a braked rule one batch at a time: ${who} never has one batch wait for the brake's count while another holds it`, async () => {
      await open({ brake: { max: 10_000, per: '1h' } })
      assert.deepEqual(await settled(), { settled: ORDERS, left: 0 })
      assert.equal(mostRunning, 1)
    })

    it(`settle any other rule two batches at a time: ${who}`, async () => {
      await open({})
      assert.deepEqual(await settled(), { settled: ORDERS, left: 0 })
      assert.equal(mostRunning, 2)
    })
  }
})
