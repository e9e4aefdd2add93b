// The rights that SECURITY.md says a role of Postgres needs, given to a role that has nothing else: timers and a worker do all their work with them.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { Model, Sequelize } from 'sequelize'
import { startExpiryWorker, transition } from '../lib/index.js'
import { defineParcel, EVERY_SECOND, openParcels } from './life/parcels.js'
import { makeTimers, watched } from './support/shop.js'
import { waitUntil } from './support/waiting.js'

const page = readFileSync(new URL('../SECURITY.md', import.meta.url), 'utf8')
const [, grants = ''] = /^```sql\n-- grants\.sql\n([\s\S]*?)^```$/m.exec(page) ?? []

const rulesOf = (sequelize: Sequelize, told: string[]) => {
  const tell = (what: string) => async (orders: Model[]) => void told.push(...orders.map((order) => `${what} ${order.get('id')}`))
  return {
    order_confirm: transition(defineParcel(sequelize), {
      from: 4,
      to: 5,
      deadline: 'dueAt',
      after: '24h',
      backfill: { since: 'placedAt' },
      pause: { keep: 'leftMs' },
      maxExtensions: 2,
      extended: 'extended',
      history: true,
      brake: { max: 100, per: '1h' },
      reminders: [{ before: '2h', run: tell('reminded') }],
      afterCommit: tell('settled'),
    }),
  }
}

describe("a Postgres role with exactly SECURITY.md's rights", () => {
  it('may do all that timers and a worker do', async () => {
    const shop = await openParcels((Parcel) => ({ unused: transition(Parcel, { from: 1, to: 0, deadline: false }) }))
    const { client, schema, url, connectSequelize } = shop.database
    assert.match(grants, /GRANT/)
    await client.query(`CREATE ROLE ${schema} LOGIN PASSWORD 'plain'; GRANT USAGE ON SCHEMA ${schema} TO ${schema}`)
    await client.query(grants.replaceAll(' orders ', ' parcels ').replaceAll('TO shop', `TO ${schema}`))
    const { sequelize } = connectSequelize({ url: Object.assign(new URL(url), { username: schema, password: 'plain' }).href })
    const told: string[] = []
    const timers = makeTimers(rulesOf(sequelize, told), { redis: shop.redis.url, prefix: shop.redis.prefix })
    await timers.check()
    const worker = watched(startExpiryWorker(timers, EVERY_SECOND))
    await worker.ready
    const [due, moved, overdue] = [await shop.parcel(3_600_000), await shop.parcel(), await shop.parcel(-1_000)]
    await timers.schedule('order_confirm', due, { after: 200 })
    await timers.schedule('order_confirm', moved, { after: '1h' })
    await timers.extend('order_confirm', moved, '30m')
    await timers.pause('order_confirm', moved)
    await timers.resume('order_confirm', moved)
    await waitUntil(() => [`settled ${due}`, `settled ${overdue}`, `reminded ${moved}`].every((one) => told.includes(one)))
    await timers.cancel('order_confirm', moved)
    assert.equal(await timers.release('order_confirm'), false)
    assert.deepEqual(await timers.list(moved), [])
    assert.deepEqual([worker.faultsTold, worker.deadTold], [[], []])
    await worker.stop()
    await timers.close()
    await sequelize.close()
    await client.query(`DROP OWNED BY ${schema}; DROP ROLE ${schema}`)
    await shop.close()
  })
})
