import assert from 'node:assert/strict'
import { remedyOf } from '../../lib/sequelize/wrong-statement.js'

describe('the remedy for a right that is missing', () => {
  const remedy = (name: string, sort = 'table') =>
    remedyOf(Object.assign(new Error(`permission denied for ${sort} ${name}`), { parent: { code: '42501' } }), '"shop"."orders"')
  const GRANTS = {
    orders: 'SELECT, UPDATE ON "shop"."orders"',
    customers: 'SELECT ON customers',
    order_timers_history: 'SELECT, INSERT, UPDATE ON order_timers_history',
    order_timers_actions: 'SELECT, INSERT ON order_timers_actions',
    order_timers_processes: 'SELECT, INSERT, UPDATE, DELETE ON order_timers_processes',
  }
  for (const [name, grant] of Object.entries(GRANTS)) {
    it(`on ${name} is no more than what is needed`, () =>
      assert.equal(remedy(name), `let the user that the shop connects as do it: GRANT ${grant} TO …`))
  }

  it('on a schema is its use', () => assert.match(remedy('shop', 'schema'), /GRANT USAGE ON SCHEMA shop TO …$/))
})
