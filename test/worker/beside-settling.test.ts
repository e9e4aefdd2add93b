// What the worker does beside settling asks, too, whose a failure is: a fault of ours is told, and not silence for ever.

import assert from 'node:assert/strict'
import type { Transaction } from 'sequelize'
import { transition } from '../../lib/index.js'
import { Leases } from '../../lib/redis/leases.js'
import { History } from '../../lib/rows/history.js'
import type { Database } from '../support/database.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const rules = ({ Order }: Pick<Database, 'Order'>) => ({
  order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', history: true, afterCommit: () => {} }),
})

/** A fault of ours cannot be had from outside, so one is planted: each method throws a TypeError until it is put back. */
const PLANTED = {
  'the alarm': { of: Leases.prototype as object, method: 'claim' },
  'telling again': { of: History.prototype as object, method: 'takePendingDelivery' },
}

describe('A TypeError of ours', () => {
  for (const [where, { of, method }] of Object.entries(PLANTED))
    it(`in ${where} is told as INTERNAL until it is over, however many sweeps come between`, async () => {
      const shop = await openShop(rules)
      for (const sql of History.createSql('order_timers_history')) await shop.database.client.query(sql)
      const right = Reflect.get(of, method) as (transaction: Transaction) => Promise<unknown>
      assert.equal(typeof right, 'function')
      Reflect.set(of, method, async () => (undefined as unknown as { moved(): void }).moved())
      const worker = await shop.worker({ fallback: '* * * * * *' })
      try {
        const internal = () => worker.health().faults.find(({ code }) => code === 'INTERNAL')
        await waitUntil(() => internal() !== undefined)
        assert.equal(internal()?.kind, 'order_confirm')
        assert.match(internal()?.cause ?? '', /reading 'moved'/)
        await worker.sweepNow()
        await worker.sweepNow()
        assert.equal(worker.faultsTold.filter(({ code }) => code === 'INTERNAL').length, 1)
        Reflect.set(of, method, right)
        await worker.sweepNow()
        await waitUntil(() => internal() === undefined)
      } finally {
        Reflect.set(of, method, right)
        await shop.close()
      }
    })
})
