// Each statement of each screen of the admin page, as Postgres plans and runs it over a table that is much larger than what a screen shows: an
// index finds the rows, and what is read ends at the cap, however many orders there are.

import assert from 'node:assert/strict'
import { migration } from '../../lib/admin/migration.js'
import { CAP } from '../../lib/rows/cap.js'
import { CAPPED_LOOK_SETTINGS } from '../../lib/rows/capped-orders-sql.js'
import { PORTION } from '../../lib/rows/walked-orders.js'
import { type AdminShop, openAdminShop } from '../admin-page/admin-shop.js'
import { bury } from '../support/dead-letters.js'
import { runtimeOf } from '../support/runtime.js'

/** Of each sort; the caps of the page are at 10,000. */
const PENDING = Number(process.env.PLANS_ORDERS ?? 60_000)
const DEAD = Math.ceil(PENDING / 10)
const RETRYING = Math.ceil(PENDING / 50)
const HOUR_MS = 3_600_000

/** What a page shows, and what comes due during the test. */
const FEW = 500

interface Sent {
  screen: string
  sql: string
  values: unknown[]
}

interface Plan {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  'Rows Removed by Index Recheck'?: number
  Plans?: Plan[]
}

function nodesOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]
}

function readBy(plan: Plan): number {
  const { 'Actual Rows': found, 'Rows Removed by Filter': filtered = 0, 'Rows Removed by Index Recheck': rechecked = 0 } = plan
  return Math.round((found + filtered + rechecked) * plan['Actual Loops'])
}

describe('the statements of the admin page', function () {
  this.timeout(180_000)
  let shop: AdminShop
  const sent: Sent[] = []
  let screen = ''

  before(async () => {
    shop = await openAdminShop({ admin: { show: (order) => ({ Note: order.get('note') as string }) } })
    const { client, sequelize } = shop.database
    await client.query(migration(runtimeOf(shop.timers), {}).up.join(';'))
    const row = (
      status: string,
      from: number,
      count: number,
      due: string,
    ) => `INSERT INTO orders (id, status, note, "confirmDueAt", "createdAt", "updatedAt")
SELECT ${from} + i, ${status}, 'of a test', ${due}, now() - i * interval '1 millisecond', now() FROM generate_series(0, ${count} - 1) AS i`
    await client.query(row('4', 1, PENDING, `now() + interval '1 minute' + i * interval '${(24 * HOUR_MS) / PENDING} millisecond'`))
    await client.query(row('5', PENDING + 1, PENDING, 'NULL'))
    await client.query(row('1', 2 * PENDING + 1, PENDING, 'NULL'))
    await client.query(row('4', 3 * PENDING + 1, DEAD, `now() - interval '1 hour' - i * interval '1 millisecond'`))
    await client.query(row('4', 4 * PENDING + 1, RETRYING, `now() - interval '10 minutes' - i * interval '1 millisecond'`))
    await client.query('VACUUM ANALYZE orders')
    const failures = runtimeOf(shop.timers).keys.sets('order_confirm').failures
    const ids = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)
    for (let first = 0; first < DEAD; first += 5_000)
      await bury(shop.redis.client, failures, ids(3 * PENDING + 1 + first, Math.min(5_000, DEAD - first)))
    const retrying = JSON.stringify({ attempts: 1, error: 'no stock', at: new Date().toISOString(), dead: false })
    await shop.redis.client.hset(failures, Object.fromEntries(ids(4 * PENDING + 1, RETRYING).map((id) => [id, retrying])))
    sequelize.addHook('afterConnect', (connection) => {
      const client = connection as { query: (...given: unknown[]) => unknown }
      const { query } = client
      client.query = (...given) => {
        const [sql, values] = given
        if (typeof sql === 'string') sent.push({ screen, sql, values: Array.isArray(values) ? values : [] })
        return query.apply(client, given)
      }
    })
    await (
      sequelize as unknown as { connectionManager: { pool: { drain(): Promise<void>; destroyAllNow(): Promise<void> } } }
    ).connectionManager.pool.destroyAllNow()
  })

  after(() => shop?.close())

  /** As Postgres runs it where the page does. */
  async function explained({ sql, values }: Sent) {
    const client = await shop.database.connect()
    await client.query(`BEGIN; ${CAPPED_LOOK_SETTINGS}`)
    const { rows } = await client.query(`EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`, values)
    await client.query('ROLLBACK')
    return { sql, nodes: nodesOf(rows[0]['QUERY PLAN'][0].Plan) }
  }

  const half = () => `${(Date.now() + 12 * HOUR_MS) * 1_000}.order_confirm.1`
  const SCREENS: Record<string, () => string> = {
    now: () => 'data/now',
    due: () => 'data/due',
    'due, a page further': () => `data/due?kind=order_confirm&after=${half()}`,
    'due of a rule with since': () => 'data/due?kind=order_pay&hours=1',
    late: () => 'data/late',
    ...Object.fromEntries(
      ['overdue', 'retrying', 'locked', 'dead', 'stale', 'held', 'undated'].map((state) => [
        `stuck: ${state}`,
        () => `data/stuck?kind=order_confirm&state=${state}`,
      ]),
    ),
    order: () => `data/order?id=${PENDING / 2}`,
    processes: () => 'data/processes',
    actions: () => 'data/actions',
    'actions of an order': () => `data/actions?order=${PENDING / 2}`,
  }

  /** By the screens that read orders. */
  const READS_ORDERS = /^(?:now|due|stuck|order)/

  for (const [name, path] of Object.entries(SCREENS)) {
    it(`(${name}) find rows by an index, and read no more than the cap and what failed`, async () => {
      screen = name
      const { status, text } = await shop.ask(path())
      screen = ''
      assert.equal(status, 200, text)
      assert.doesNotMatch(text, /"problem":"|Postgres did not find/)
      const plans = await Promise.all(sent.filter((one) => one.screen === name && isOfTables(one.sql)).map(explained))
      assert.ok(!READS_ORDERS.test(name) || plans.length > 0 || name === 'stuck: dead')
      for (const { sql, nodes } of plans) {
        const ofOrders = nodes.filter((node) => node['Relation Name'] === 'orders')
        const about = `${name}: ${sql}\n${ofOrders.map((node) => `${node['Node Type']} ${node['Index Name'] ?? ''}: ${readBy(node)} rows`).join('\n')}`
        assert.deepEqual(
          ofOrders.filter((node) => node['Node Type'] === 'Seq Scan'),
          [],
          about,
        )
        const read = ofOrders.reduce((sum, node) => sum + readBy(node), 0)
        assert.ok(read <= (/ walked /.test(sql) ? PORTION : 2 * (CAP + 1) + DEAD + RETRYING + FEW), about)
      }
    })
  }
})

function isOfTables(sql: string): boolean {
  return /^\s*(?:SELECT|WITH|\()/.test(sql) && /\border/.test(sql)
}
