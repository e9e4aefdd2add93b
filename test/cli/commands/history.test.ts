import assert from 'node:assert/strict'
import { transition } from '../../../lib/index.js'
import { History } from '../../../lib/rows/history.js'
import { openProject, timersModule } from '../../support/command-line.js'
import { openShop } from '../../support/shop.js'
import { waitUntil } from '../../support/waiting.js'

const HOUR_MS = 3_600_000
const RULE = "order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', history: true })"

describe('order-timers history', () => {
  it('says what a rule did since then, and lists the ids alone', async () => {
    const project = await openProject()
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', history: true }),
    }))
    for (const sql of History.createSql('order_timers_history')) await shop.database.client.query(sql)
    await project.write('timers.mjs', timersModule(shop.database, RULE))
    const ids: number[] = []
    for (const _ of [1, 2, 3]) ids.push(await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - HOUR_MS) }))
    const worker = await shop.worker()
    await waitUntil(() => worker.settled.length === 3)
    await worker.stop()
    await shop.database.client.query(`UPDATE order_timers_history SET settled_at = now() - interval '3 hours' WHERE order_id = '${ids[0]}'`)
    const recent = await project.orderTimers('history', 'order_confirm', '--ids')
    assert.deepEqual([recent.status, recent.stdout.trim().split('\n').sort()], [0, ids.slice(1).map(String).sort()])
    const all = await project.orderTimers('history', 'order_confirm', '--since', '4h', '--json')
    const { settled, entries } = JSON.parse(all.stdout)
    assert.deepEqual([settled, entries.length, entries[0].from, entries[0].to], [3, 3, '4', '5'])
    const text = await project.orderTimers('history', 'order_confirm')
    assert.match(
      text.stdout,
      /^order_confirm: 2 settled\nwhat +orders +via +worker +last\n4 → 5 +2 +sweep +\S+ +\S+Z\n\none by one, the newest first\n/,
    )
    assert.equal((await project.orderTimers('history', 'order_confirm', '--since', 'ever')).status, 2)
    await Promise.all([shop.close(), project.close()])
  })
})
