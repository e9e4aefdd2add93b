// Deadlines that calls outside of a transaction write, where somebody else holds the row, or the table is not a plain one.

import assert from 'node:assert/strict'
import pg from 'pg'
import { confirming } from '../faults/confirming.js'
import { armed } from '../support/armed.js'
import { refused } from '../support/refused.js'
import { openShop, type Shop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const HOUR = 3_600_000

/** A view over `all_orders`, and how it carries out an UPDATE. */
const VIEWS: Record<string, string> = {
  'with an INSTEAD OF trigger': `CREATE VIEW orders AS SELECT * FROM all_orders;
    CREATE FUNCTION update_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      UPDATE all_orders SET status = NEW.status, "confirmDueAt" = NEW."confirmDueAt" WHERE id = OLD.id; RETURN NEW;
    END $$;
    CREATE TRIGGER update_order INSTEAD OF UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION update_order()`,
  'with a rule': `CREATE VIEW orders AS SELECT all_orders.* FROM all_orders JOIN paid ON order_id = id;
    CREATE RULE update_order AS ON UPDATE TO orders DO INSTEAD
      UPDATE all_orders SET status = NEW.status, "confirmDueAt" = NEW."confirmDueAt" WHERE id = OLD.id RETURNING all_orders.*`,
  'that Postgres updates by itself': 'CREATE VIEW orders WITH (security_barrier) AS SELECT * FROM all_orders WHERE status < 9',
}

describe('A deadline that is written outside of a transaction', () => {
  let shop: Shop<ReturnType<ReturnType<typeof confirming>>>

  const open = async (settings: Record<string, string> = {}) => {
    shop = await openShop(confirming(), { database: { settings } })
    return shop.database.client
  }

  afterEach(() => shop.close())

  /** Until so many statements that begin like this wait for a lock. */
  const waiting = async (count: number, begin = '') => {
    const sql = `SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE $1`
    await waitUntil(async () => (await shop.database.client.query(sql, [`${begin}%`])).rows[0].count === count)
  }

  for (const [how, create] of Object.entries(VIEWS)) {
    it(`in a view ${how} counts on what others have committed meanwhile`, async () => {
      const client = await open()
      const id = await shop.order({ status: 4 })
      await client.query(
        `ALTER TABLE orders RENAME TO all_orders; CREATE TABLE paid (order_id int); INSERT INTO paid VALUES (${id}); ${create}`,
      )
      await shop.timers.check()
      const { deadline } = await shop.timers.schedule('order_confirm', id)
      const holder = await shop.database.connect()
      await holder.query('BEGIN; SELECT FROM all_orders FOR UPDATE')
      const extended = [1, 2, 3].map(() => shop.timers.extend('order_confirm', id, '1h'))
      await waiting(3)
      await holder.query('COMMIT')
      await Promise.all(extended)
      const left = { ...(await client.query('SELECT status, "confirmDueAt" AS due FROM all_orders')).rows[0] }
      assert.deepEqual(left, { status: 4, due: new Date(Number(deadline) + 3 * HOUR) })

      await holder.query('BEGIN; UPDATE all_orders SET status = 3')
      const scheduled = refused(() => shop.timers.schedule('order_confirm', id))
      await waiting(1)
      await holder.query('COMMIT')
      assert.equal((await scheduled).code, 'ERR_ORDER_TIMERS_ORDER_NOT_IN_FROM')
      assert.equal((await client.query('SELECT status FROM all_orders')).rows[0].status, 3)

      await client.query('UPDATE all_orders SET status = 4')
      assert.equal((await shop.timers.cancel('order_confirm', id)).deadline, null)
      assert.equal((await client.query('SELECT "confirmDueAt" AS due FROM all_orders')).rows[0].due, null)
    })
  }

  for (const setting of ['statement_timeout', 'lock_timeout']) {
    it(`waits for a locked row although the shop's ${setting} is short`, async () => {
      await open({ [setting]: '40' })
      const id = await shop.order({ status: 4 })
      await shop.timers.schedule('order_confirm', id)
      const holder = await shop.database.connect()
      for (const lock of ['SELECT FROM orders FOR UPDATE', 'LOCK TABLE orders']) {
        await holder.query(`BEGIN; ${lock}`)
        const extended = shop.timers.extend('order_confirm', id, '1h')
        await waiting(1, 'SELECT') // in the transaction, which has limits of its own
        await holder.query('ROLLBACK')
        assert.equal((await extended).armed, true)
      }
    })
  }

  it('leaves a trigger that catches its errors the time that the call has', async () => {
    const client = await open()
    const id = await shop.order({ status: 4 })
    await client.query(`CREATE TABLE customers (orders_changed int); INSERT INTO customers VALUES (0);
      CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE customers SET orders_changed = orders_changed + 1; RETURN NULL;
      EXCEPTION WHEN OTHERS THEN RETURN NULL;
      END $$;
      CREATE TRIGGER count_change AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION count_change()`)
    const holder = await shop.database.connect()
    await holder.query('BEGIN; SELECT FROM customers FOR UPDATE')
    const startedAt = performance.now()
    const scheduled = shop.timers.schedule('order_confirm', id)
    await waiting(1)
    await waitUntil(() => performance.now() - startedAt > 500)
    await holder.query('COMMIT')
    assert.equal((await scheduled).armed, true)
    assert.equal((await client.query('SELECT orders_changed FROM customers')).rows[0].orders_changed, 1)
  })

  for (const [what, body] of Object.entries({
    'works for too long': 'PERFORM pg_sleep(60)',
    'finds other rows locked': 'PERFORM FROM customers FOR UPDATE NOWAIT',
    'waits for other rows in vain': 'PERFORM FROM customers FOR UPDATE',
  })) {
    it(`is not said to be locked if a trigger ${what}`, async () => {
      const client = await open()
      const id = await shop.order({ status: 4 })
      await client.query(`CREATE TABLE customers (id int); INSERT INTO customers VALUES (1);
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN NEW; END $$;
        CREATE TRIGGER look BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION look()`)
      const holder = await shop.database.connect()
      await holder.query('BEGIN; SELECT FROM customers FOR UPDATE')
      const { code, message } = await refused(() => shop.timers.schedule('order_confirm', id))
      assert.equal(code, 'ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE')
      assert.match(
        message,
        /^orderTimers: order_confirm: Order "\d+" was not written: a trigger on the table waited in vain, or took longer/,
      )
      await holder.query('ROLLBACK')
      assert.equal((await client.query('SELECT "confirmDueAt" AS due FROM orders')).rows[0].due, null)
    })
  }

  it("is the given instant, whatever functions of Postgres's names the shop has, and whatever digits its parser drops", async () => {
    const client = await open()
    for (const type of ['text', 'varchar', 'timestamp'])
      await client.query(`CREATE FUNCTION to_timestamp(${type}) RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '2001-01-01' $$`)
    const id = await shop.order({ status: 4 })
    const at = new Date(1_900_000_000_987)
    const usual = pg.types.getTypeParser(701)
    pg.types.setTypeParser(701, (text) => Number(Number(text).toFixed(2)))
    try {
      await shop.timers.check()
      assert.deepEqual((await shop.timers.schedule('order_confirm', id, { at })).deadline, at)
    } finally {
      pg.types.setTypeParser(701, usual)
    }
    assert.deepEqual((await client.query('SELECT "confirmDueAt" AS due FROM orders')).rows[0].due, at)
    assert.equal((await armed(shop.redis, 'order_confirm', id)).due, at.getTime())
  })

  it('is repeated if others move the order to another partition meanwhile', async () => {
    const client = await open()
    const id = await shop.order({ status: 4 })
    await client.query(`ALTER TABLE orders RENAME TO unparted; CREATE TABLE orders (LIKE unparted INCLUDING DEFAULTS) PARTITION BY RANGE ("confirmDueAt");
      CREATE TABLE orders_early PARTITION OF orders DEFAULT; CREATE TABLE orders_late PARTITION OF orders FOR VALUES FROM ('2100-01-01') TO (MAXVALUE);
      INSERT INTO orders SELECT * FROM unparted`)
    const early = new Date('2099-01-01')
    await shop.timers.schedule('order_confirm', id, { at: early })
    const holder = await shop.database.connect()
    await holder.query('BEGIN; SELECT FROM orders FOR UPDATE')
    const extended = [1, 2, 3].map(() => shop.timers.extend('order_confirm', id, '1h'))
    await waiting(3, 'SELECT')
    await holder.query(`UPDATE orders SET "confirmDueAt" = '2100-01-01'; COMMIT`)
    await Promise.all(extended)
    const [row] = (await client.query('SELECT "confirmDueAt" AS due FROM orders')).rows
    assert.equal(row.due.getTime(), new Date('2100-01-01').getTime() + 3 * HOUR)
  })
})
