// Connections kept ready for what comes due: each plans once what it will be asked, and nothing is carried out by that.

import assert from 'node:assert/strict'
import { effect, type Rules, transition } from '../../lib/index.js'
import { Brake } from '../../lib/rows/brake.js'
import { History } from '../../lib/rows/history.js'
import { inTransaction } from '../../lib/sequelize/database.js'
import { Clocks } from '../../lib/worker/clocks.js'
import { ConnectionWarmer } from '../../lib/worker/connection-warmer.js'
import type { Database } from '../support/database.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const MOVE = { from: 4, to: 5 } as const
const CONFIRM = { ...MOVE, deadline: 'confirmDueAt', after: '24h' } as const
const LIMITS = { lockMs: 300, statementMs: 2_000, idleMs: 2_000 }
const WIDTH = 3

describe('connections kept ready', () => {
  let asked: string[]
  let shop: Shop<Rules>

  const open = async (rules: (database: Database) => Rules) => {
    asked = []
    const logging = (sql: string) => void asked.push(sql)
    const database = { sequelize: { logging }, pool: { max: WIDTH }, settings: { application_name: 'the_shop' } }
    shop = await openShop(rules, { database })
  }
  const workerRules = () => runtimeOf(shop.timers).workerRules()
  const plans = () => asked.filter((sql) => sql.includes(': EXPLAIN ')).length
  const round = async (ready: ConnectionWarmer) => {
    await ready.start()
    ready.stop()
  }
  const connections = () => {
    const clocks = new Clocks(new Map(workerRules().map((rule) => [rule.kind, rule])), undefined)
    return new ConnectionWarmer(workerRules(), clocks, () => WIDTH)
  }

  afterEach(() => shop.close())

  it('are as many as settle at once, plan once each, and again where they were lost', async () => {
    await open(({ Order }) => ({ order_confirm: transition(Order, CONFIRM) }))
    const ready = connections()
    // A transaction waits 100 ms for the others' connections, and a starved machine takes longer for them.
    await waitUntil(async () => {
      await round(ready)
      return plans() >= WIDTH
    })
    await round(ready)
    assert.equal(plans(), WIDTH)
    await shop.database.client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'the_shop'")
    await waitUntil(async () => {
      await round(ready)
      return plans() >= 2 * WIDTH
    })
    await round(ready)
    assert.equal(plans(), 2 * WIDTH)
  })

  it('reject nothing where the table is missing, and try once for each', async () => {
    await open(({ Order }) => ({ order_confirm: transition(Order, CONFIRM) }))
    const ready = connections()
    await shop.database.client.query('ALTER TABLE orders RENAME TO elsewhere')
    await round(ready)
    const tried = plans()
    assert.ok(tried > 0 && tried <= WIDTH)
    for (let rounds = 0; rounds < 3; rounds += 1) await round(ready)
    assert.ok(plans() <= WIDTH)
    await shop.database.client.query('ALTER TABLE elsewhere RENAME TO orders')
  })

  const forms: Record<string, (database: Database) => Rules[string]> = {
    'a deadline': ({ Order }) => transition(Order, CONFIRM),
    '"since"': ({ Order }) => transition(Order, { ...MOVE, since: 'createdAt', after: '24h' }),
    'no deadline on the row': ({ Order }) => transition(Order, { ...MOVE, deadline: false }),
    '"run" and "set"': ({ Order }) => transition(Order, { ...CONFIRM, set: { total: '0' }, run: async () => {} }),
    '"individualHooks"': ({ Order }) => transition(Order, { ...CONFIRM, individualHooks: true }),
    '"history", a reminder and a brake': ({ Order }) =>
      transition(Order, { ...CONFIRM, history: true, brake: { max: 1, per: '1h' }, reminders: [{ before: '1h', run: async () => {} }] }),
    '"dryRun" before the history has its table': ({ Order }) => transition(Order, { ...CONFIRM, history: true, dryRun: true }),
    'an effect': ({ Order }) => effect(Order, { deadline: 'confirmDueAt', where: { status: 4 }, after: '24h', run: async () => {} }),
  }

  for (const [form, rule] of Object.entries(forms)) {
    it(`plan a rule with ${form}, and carry out nothing`, async () => {
      await open((database) => ({ order_confirm: rule(database) }))
      const { client, sequelize } = shop.database
      if (!form.includes('dryRun'))
        for (const sql of [...History.createSql('order_timers_history'), ...Brake.createSql('order_timers_brakes')]) await client.query(sql)
      await client.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'an UPDATE was carried out'; END $$`)
      await client.query('CREATE TRIGGER refuse BEFORE UPDATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION refuse()')
      await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - 1_000) })
      await inTransaction(sequelize, LIMITS, async (transaction) => {
        for (const { row } of workerRules()) await row?.plan(transaction)
      })
      assert.equal(plans(), workerRules().length)
    })
  }
})
