// Values that the database refuses, or refers to nothing with, are found before the first settlement fails on them.

import assert from 'node:assert/strict'
import { Client } from 'pg'
import { DataTypes, Sequelize } from 'sequelize'
import { migration } from '../../lib/admin/migration.js'
import { migrationAsModule, migrationAsSql } from '../../lib/admin/migration-text.js'
import { missingRows } from '../../lib/admin/missing-rows.js'
import { plan } from '../../lib/admin/plan.js'
import { status } from '../../lib/admin/status.js'
import { transition } from '../../lib/index.js'
import type { Database } from '../support/database.js'
import { refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers, openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const pay = ({ Order }: Pick<Database, 'Order'>) => ({
  order_pay: transition(Order, { from: 1, to: 9, since: 'createdAt', after: '15m', set: { userId: 77 } }),
})
const STATUSES = `CREATE TABLE order_statuses (id integer PRIMARY KEY, name text NOT NULL, sort integer NOT NULL DEFAULT 0);
INSERT INTO order_statuses VALUES (1, 'unpaid'), (0, 'cancelled'), (4, 'shipped')`
const REFERS = 'ALTER TABLE orders ADD CONSTRAINT orders_status FOREIGN KEY (status) REFERENCES order_statuses'

const long = () => ({ createdAt: new Date(Date.now() - 16 * 60_000) })

describe('A status that the status table lacks', () => {
  it('is reported by check(), plan, status and the worker before a settlement fails on it, with the INSERT as a comment', async () => {
    const shop = await openShop(pay)
    await shop.database.client.query(`${STATUSES}; ${REFERS}`)
    const { code, message } = await refused(() => shop.timers.check())
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    assert.match(message, /"to" is "?9"?, which has no row in order_statuses, to which the foreign key "orders_status" of "orders" refers/)
    assert.match(message, /^-- INSERT INTO order_statuses \(id, name\) VALUES \(9, …\)$/m)
    const [planned] = await plan(runtimeOf(shop.timers))
    assert.match(JSON.stringify(planned), /has no row in order_statuses/)
    const { ok, rules } = await status(runtimeOf(shop.timers))
    assert.equal(ok, false)
    assert.match(rules[0]?.problem ?? '', /"to" is "?9"?, which has no row in order_statuses/)
    const id = await shop.order({ createdAt: new Date(Date.now() - 16 * 60_000) })
    const worker = await shop.worker({ fallback: '* * * * * *' })
    assert.equal(worker.health().faults[0]?.code, 'INVALID_MODEL')
    assert.equal(worker.health().kinds.order_pay?.failed, 0)
    await shop.database.client.query("INSERT INTO order_statuses (id, name) VALUES (9, 'closed')")
    await waitUntil(async () => (await shop.statusOf(id)) === 9)
    assert.deepEqual(worker.health().faults, [])
    await shop.close()
  })

  it('is reported for "from" and for what "set" writes too', async () => {
    const shop = await openShop(({ Order }: Pick<Database, 'Order'>) => ({
      order_pay: transition(Order, { from: [1, 8], to: 0, since: 'createdAt', after: '15m', set: { userId: 77 } }),
    }))
    await shop.database.client.query(`${STATUSES}; ${REFERS}; CREATE TABLE users (id serial PRIMARY KEY);
ALTER TABLE orders ADD FOREIGN KEY ("userId") REFERENCES users`)
    const { message } = await refused(() => shop.timers.check())
    assert.match(message, /"from" is "?8"?, which has no row in order_statuses/)
    assert.match(message, /"set\.userId" is 77, which has no row in users/)
    await shop.close()
  })

  it('is no fault where the role may not read the status table, since nobody can say so then', async () => {
    const shop = await openShop(pay)
    const { client, schema } = shop.database
    const role = `${schema}_role`
    await client.query(`${STATUSES}; ${REFERS}; CREATE ROLE ${role}`)
    try {
      await client.query(
        `GRANT USAGE ON SCHEMA ${schema} TO ${role}; GRANT SELECT, UPDATE (status, "userId", "updatedAt") ON orders TO ${role}`,
      )
      const { sequelize, Order } = shop.database.connectSequelize()
      sequelize.addHook('afterConnect', (connection) => (connection as Client).query(`SET ROLE ${role}`) as never)
      const timers = makeTimers(pay({ Order }), { redis: false })
      await timers.check()
      await client.query(`GRANT SELECT ON order_statuses TO ${role}`)
      const { message } = await refused(() => timers.check())
      assert.match(message, /"to" is "?9"?, which has no row in order_statuses/)
      await timers.close()
    } finally {
      await shop.close()
      await dropRole(role)
    }
  })

  it('is no fault where row-level security hides the status table, whose rows a foreign key sees all the same', async () => {
    const shop = await openShop(pay)
    const { client, schema } = shop.database
    const role = `${schema}_role`
    await client.query(`${STATUSES}; INSERT INTO order_statuses VALUES (9, 'closed'); ${REFERS}; CREATE ROLE ${role};
ALTER TABLE order_statuses ENABLE ROW LEVEL SECURITY; GRANT USAGE ON SCHEMA ${schema} TO ${role};
GRANT SELECT ON order_statuses TO ${role}; GRANT SELECT, UPDATE (status, "userId", "updatedAt") ON orders TO ${role}`)
    try {
      const { sequelize, Order } = shop.database.connectSequelize()
      sequelize.addHook('afterConnect', (connection) => (connection as Client).query(`SET ROLE ${role}`) as never)
      const timers = makeTimers(pay({ Order }), { redis: false })
      assert.equal(await Order.count(), 0)
      await timers.check()
      await timers.close()
    } finally {
      await shop.close()
      await dropRole(role)
    }
  })

  it('is reported, and stops nothing, if it is one of several in "from"', async () => {
    const shop = await openShop(({ Order }: Pick<Database, 'Order'>) => ({
      order_pay: transition(Order, { from: [1, 7], to: 0, since: 'createdAt', after: '15m' }),
    }))
    await shop.database.client.query(`${STATUSES}; ${REFERS}`)
    const { message } = await refused(() => shop.timers.check())
    assert.match(message, /"from" is "?7"?, which has no row in order_statuses, .* so no order can ever have it; insert it/)
    const worker = await shop.worker({ fallback: '* * * * * *' })
    const id = await shop.order({ createdAt: new Date(Date.now() - 16 * 60_000) })
    await waitUntil(async () => (await shop.statusOf(id)) === 0)
    assert.deepEqual(worker.health().faults, [])
    await shop.close()
  })

  it('counts no attempt where its row is deleted while the worker runs', async () => {
    const shop = await openShop(pay)
    await shop.database.client.query(`${STATUSES}; INSERT INTO order_statuses VALUES (9, 'closed'); ${REFERS}`)
    const worker = await shop.worker({ fallback: '* * * * * *' })
    await shop.database.client.query('DELETE FROM order_statuses WHERE id = 9')
    const ids = [await shop.order(long()), await shop.order(long())]
    const fault = await waitUntil(() => worker.health().faults.find(({ code }) => code === 'INVALID_MODEL'))
    assert.match(fault.message, /"to" is "?9"?, which has no row in order_statuses/)
    assert.equal(worker.health().kinds.order_pay?.failed, 0)
    await shop.database.client.query("INSERT INTO order_statuses VALUES (9, 'closed')")
    await waitUntil(async () => (await Promise.all(ids.map(shop.statusOf))).every((status) => status === 9))
    await waitUntil(() => worker.health().faults.length === 0)
    assert.equal(worker.health().kinds.order_pay?.failed, 0)
    await shop.close()
  })

  it('is found in a foreign key over several columns, and stops the rule only where none of the others may be NULL', async () => {
    const shop = await openShop(pay)
    const { client } = shop.database
    await client.query(`CREATE TABLE places (status integer, total integer, PRIMARY KEY (total, status)); INSERT INTO places VALUES (1, 100), (0, 100);
ALTER TABLE orders ADD CONSTRAINT orders_place FOREIGN KEY (total, status) REFERENCES places (total, status)`)
    const wrong = /"to" is "?9"?, which has no row in places, to which the foreign key "orders_place" of "orders" refers, so /
    const look = async () => {
      const { wrong: stopping, partial } = (await runtimeOf(shop.timers).rule('order_pay').row?.look()) ?? { wrong: [], partial: [] }
      return { stopping: stopping.map(({ message }) => message), partial: partial.map(({ message }) => message) }
    }
    await client.query('ALTER TABLE orders ALTER total DROP NOT NULL')
    const { stopping, partial } = await look()
    assert.deepEqual(stopping, [])
    assert.match(partial.join(), wrong)
    assert.match(partial.join(), /so a settlement would fail on it unless total is NULL/)
    assert.match((await refused(() => shop.timers.check())).message, wrong)
    await client.query('ALTER TABLE orders ALTER total SET NOT NULL')
    assert.match((await look()).stopping.join(), /so every settlement would fail on it/)
    await client.query('INSERT INTO places VALUES (9, 100)')
    await shop.timers.check()
    await shop.close()
  })

  it('is printed by the migration as an INSERT in a comment, as far as it is missing', async () => {
    const shop = await openShop(({ Order }: Pick<Database, 'Order'>) => ({
      order_pay: transition(Order, { from: [1, 8], to: 0, since: 'createdAt', after: '15m', set: { note: "it's\nlate" } }),
    }))
    const { client } = shop.database
    await client.query(`${STATUSES}; ${REFERS}; CREATE TABLE notes (note text PRIMARY KEY);
ALTER TABLE orders ALTER note TYPE text, ADD FOREIGN KEY (note) REFERENCES notes (note)`)
    const runtime = runtimeOf(shop.timers)
    const made = migration(runtime)
    made.notes.push(...(await missingRows(runtime, made.kinds)))
    const lines = [
      'INSERT INTO order_statuses (id, name) VALUES (8, …) ON CONFLICT DO NOTHING;',
      "INSERT INTO notes (note) VALUES (E'it''s\\nlate') ON CONFLICT DO NOTHING;",
    ]
    for (const line of lines) {
      assert.ok(migrationAsSql(made).includes(`\n--   ${line}\n`), migrationAsSql(made))
      assert.ok(migrationAsModule(made, 'esm').includes(`\n//   ${line}\n`), migrationAsModule(made, 'esm'))
    }
    assert.doesNotMatch(migrationAsSql(made), /VALUES \([01],/)
    await client.query("INSERT INTO order_statuses (id, name) VALUES (8, 'odd'); INSERT INTO notes VALUES (E'it''s\\nlate')")
    assert.deepEqual(await missingRows(runtime, ['order_pay']), [])
    await shop.close()
  })

  it('is printed by the migration for all that the models refer to, where Postgres does not answer', async () => {
    const sequelize = new Sequelize('postgres://nobody@127.0.0.1:1/none', { logging: false })
    const Status = sequelize.define('Status', {}, { tableName: 'order_statuses', schema: 'shop' })
    const status = { type: DataTypes.STRING, references: { model: Status, key: 'code' } }
    const Ticket = sequelize.define('Ticket', { status, closedAt: DataTypes.DATE }, { tableName: 'tickets' })
    const timers = makeTimers(
      { ticket: transition(Ticket, { from: 'open', to: 'lapsed', since: 'createdAt', after: '1h' } as never) },
      { redis: false },
    )
    assert.deepEqual(await missingRows(runtimeOf(timers), ['ticket']), [
      'Rows that the rules refer to, by their models (Postgres did not say which of them are there):',
      `  INSERT INTO "shop"."order_statuses" ("code") VALUES ('open') ON CONFLICT DO NOTHING;`,
      `  INSERT INTO "shop"."order_statuses" ("code") VALUES ('lapsed') ON CONFLICT DO NOTHING;`,
    ])
    await timers.close()
  })
})

async function dropRole(role: string): Promise<void> {
  const client = new Client({ connectionString: process.env.DATABASE_URL as string })
  await client.connect()
  await client.query(`DROP ROLE ${role}`)
  await client.end()
}

describe('A status that the column refuses', () => {
  it('is found where a CHECK refuses it', async () => {
    const shop = await openShop(pay)
    await shop.database.client.query('ALTER TABLE orders ADD CONSTRAINT known CHECK (status IN (0, 1, 2, 4, 5))')
    const { message } = await refused(() => shop.timers.check())
    assert.match(message, /"to" is "?9"?, which the constraint "known" of "orders" refuses/)
    await shop.close()
  })

  it('is found where a CHECK calls a function that fails on it, and beside the rest', async () => {
    const shop = await openShop(pay)
    await shop.database.client.query(`CREATE FUNCTION known(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN IF $1 > 5 THEN RAISE EXCEPTION 'unknown status %', $1; END IF; RETURN TRUE; END $$;
ALTER TABLE orders ADD CONSTRAINT known CHECK (known(status)); CREATE TABLE users (id serial PRIMARY KEY);
ALTER TABLE orders ADD FOREIGN KEY ("userId") REFERENCES users`)
    const { code, message } = await refused(() => shop.timers.check())
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    assert.match(message, /"to" is "?9"?, which the constraint "known" of "orders" refuses \(known\(status\): unknown status 9\)/)
    assert.match(message, /"set\.userId" is 77, which has no row in users/)
    await shop.close()
  })

  it('is found where the ENUM in Postgres lacks what the model has, with the ALTER TYPE', async () => {
    const shop = await openShop((database) => {
      const Ticket = database.sequelize.define(
        'Ticket',
        { state: DataTypes.ENUM('open', 'closed', 'lapsed'), createdAt: DataTypes.DATE },
        { tableName: 'tickets', timestamps: false },
      )
      return { ticket: transition(Ticket, { status: 'state', from: 'open', to: 'lapsed', since: 'createdAt', after: '1h' } as never) }
    })
    await shop.database.client.query(`CREATE TYPE enum_tickets_state AS ENUM ('open', 'closed');
CREATE TABLE tickets (id serial PRIMARY KEY, state enum_tickets_state, "createdAt" timestamptz)`)
    const { message } = await refused(() => shop.timers.check())
    assert.match(
      message,
      /"to" cannot run: invalid input value for enum enum_tickets_state: .*ALTER TYPE enum_tickets_state ADD VALUE 'lapsed'/,
    )
    await shop.close()
  })

  it('is found where it is too long, or a domain refuses it', async () => {
    for (const [type, message] of [
      ['varchar(3)', /"to" cannot run: value too long/],
      ['short', /"to" is "lapsed", which short refuses \(value for domain short violates check constraint/],
    ] as const) {
      const shop = await openShop((database) => {
        const Ticket = database.sequelize.define(
          'Ticket',
          { state: DataTypes.STRING, createdAt: DataTypes.DATE },
          { tableName: 'tickets', timestamps: false },
        )
        return { ticket: transition(Ticket, { status: 'state', from: 'one', to: 'lapsed', since: 'createdAt', after: '1h' } as never) }
      })
      await shop.database.client.query(`CREATE DOMAIN short AS text CHECK (length(value) < 4);
CREATE TABLE tickets (id serial PRIMARY KEY, state ${type}, "createdAt" timestamptz)`)
      assert.match((await refused(() => shop.timers.check())).message, message)
      await shop.close()
    }
  })
})

describe('A column that refuses NULL', () => {
  it('is found where a rule writes NULL there, of each option that does, with the ALTER TABLE', async () => {
    const shop = await openShop(({ Order }: Pick<Database, 'Order'>) => ({
      order_confirm: transition(Order, {
        ...{ from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', pause: { keep: 'total' }, set: { note: null } },
        ...{ maxExtensions: 1, extended: 'userId' },
      } as never),
    }))
    const { client } = shop.database
    await client.query('ALTER TABLE orders ALTER note SET NOT NULL, ALTER "confirmDueAt" SET NOT NULL')
    const { message } = await refused(() => shop.timers.check())
    const columns = { '"deadline"': 'confirmDueAt', '"pause.keep"': 'total', '"extended"': 'userId', '"set.note"': 'note' }
    for (const [option, column] of Object.entries(columns)) {
      assert.ok(message.includes(`${option}: the column "${column}" of "orders" is NOT NULL, and NULL is written there`), message)
      await client.query(`ALTER TABLE "orders" ALTER COLUMN "${column}" DROP NOT NULL`)
    }
    await shop.timers.check()
    await shop.close()
  })
})
