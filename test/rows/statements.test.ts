// No statement of a rule's reaches Postgres in a shop's life that a look at the rule has not had planned.

import assert from 'node:assert/strict'
import type { Options } from 'sequelize'
import { transition } from '../../lib/index.js'
import { Brake } from '../../lib/rules/brake.js'
import { History } from '../../lib/rules/history.js'
import type { Database } from '../support/database.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

/** What is no statement on the rule's tables: transactions, settings, clocks, catalogs, and the shop's own queries. */
const OTHERS =
  /^(?:START|SET|COMMIT|ROLLBACK|SAVEPOINT|SELECT .*?(?:pg_|clock_timestamp\(\) AS|clock_timestamp\(\)\) \* |unnest|version|current_)|SHOW|EXPLAIN)/is

/** Without numbers, texts and locks, which vary from one run of a statement to the next. */
function shape(sql: string): string {
  return sql
    .replace(/^Executing \([^)]*\): /, '')
    .replace(/ SKIP LOCKED| LIMIT \d+(?= FOR)|\/\* limit \*\//g, '')
    .replace(/\d+/g, 'N')
    .replace(/\s+/g, ' ')
    .trim()
}

describe('The statements of a rule', () => {
  it('have all been planned before they run', async () => {
    const seen: string[] = []
    const logging = (sql: string) => void seen.push(sql)
    const rules = ({ Order }: Pick<Database, 'Order'>) => ({
      order_confirm: transition(Order, {
        ...{ from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' },
        ...{ history: true, brake: { max: 100, per: '1h' }, pause: { keep: 'total' }, backfill: true, afterCommit: () => {} },
      }),
      order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
    })
    const shop = await openShop(rules, { database: { sequelize: { logging } as Options } })
    await shop.database.client.query('ALTER TABLE orders ALTER COLUMN total DROP NOT NULL')
    for (const sql of [...History.createSql('order_timers_history'), ...Brake.createSql('order_timers_brakes')])
      await shop.database.client.query(sql)
    await shop.timers.check()
    const planned = new Set(seen.flatMap((sql) => (/: EXPLAIN /.test(sql) ? [shape(sql.replace('EXPLAIN ', ''))] : [])))
    assert.ok(planned.size > 15, `${planned.size} were planned`)

    const ids = [await shop.order({ status: 4 }), await shop.order({ status: 1, createdAt: new Date(0) }), await shop.order({ status: 4 })]
    const late = await shop.order({ status: 1, createdAt: new Date(Date.now() - 16 * 60_000) })
    const [first, , third] = ids as [number, number, number]
    seen.length = 0
    await shop.timers.schedule('order_confirm', first)
    await shop.timers.schedule('order_confirm', first, { at: new Date(Date.now() + 60_000) })
    await shop.timers.extend('order_confirm', first, '1h')
    await shop.timers.pause('order_confirm', first)
    await shop.timers.resume('order_confirm', first)
    await shop.timers.cancel('order_confirm', first)
    await shop.timers.remaining('order_confirm', first)
    await shop.timers.list(first)
    await shop.timers.schedule('order_pay', late)
    const worker = await shop.worker({ fallback: '* * * * * *' })
    await shop.timers.schedule('order_confirm', third, { after: 50 })
    await waitUntil(() => worker.settled.length >= 2)
    await shop.timers.release('order_confirm')
    await worker.stop()
    const unplanned = seen
      .map(shape)
      .filter((sql) => !OTHERS.test(sql) && !/^(?:INSERT INTO "orders"|SELECT "id")/.test(sql) && !planned.has(sql))
    assert.deepEqual([...new Set(unplanned)], [])
    await shop.close()
  })
})
