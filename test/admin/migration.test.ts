import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { DataTypes, type QueryInterface, type Sequelize } from 'sequelize'
import { type MigrationOptions, migration } from '../../lib/admin/migration.js'
import { migrationAsModule, migrationAsSql } from '../../lib/admin/migration-text.js'
import { effect, type Rules, transition } from '../../lib/index.js'
import { openProject, type Project } from '../support/command-line.js'
import { type Database, openDatabase } from '../support/database.js'
import { refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers } from '../support/shop.js'

/** Tables that no rule needs: for whoever has rows. */
const OWN_TABLES = ['order_timers_processes', 'order_timers_actions', 'order_timers_runs', 'order_timers_holds']

describe('the migration', () => {
  let database: Database
  let project: Project

  beforeEach(async () => {
    database = await openDatabase()
    project = await openProject()
    await database.client.query('DROP TABLE orders CASCADE') // the old shop's own follows, without anything of ours
  })

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((timers) => timers.close()))
    await project.close()
    await database.close()
  })

  /** The shop's table as it was, and its model as it is to be. */
  const oldShop = async (schema?: string) => {
    const table = schema ? `"${schema}".old_orders` : 'old_orders'
    if (schema) await database.client.query(`CREATE SCHEMA "${schema}"`)
    await database.client.query(`CREATE TABLE ${table} (id serial PRIMARY KEY, state text NOT NULL, created_at timestamptz NOT NULL)`)
    const { STRING, DATE, BIGINT, INTEGER } = DataTypes
    return database.sequelize.define(
      'OldOrder',
      {
        state: { type: STRING },
        createdAt: { type: DATE, field: 'created_at' },
        confirmDueAt: { type: DATE, field: 'confirm_due_at' },
        confirmLeftMs: { type: BIGINT, field: 'confirm_left_ms' },
        confirmExtended: { type: INTEGER, field: 'confirm_extended' },
        returnDueAt: { type: DATE, field: 'return_due_at' },
        returnExtendedMs: { type: BIGINT, field: 'return_extended_ms' },
      },
      { tableName: 'old_orders', timestamps: false, ...(schema && { schema }) },
    )
  }
  type OldOrder = Awaited<ReturnType<typeof oldShop>>
  const everything = (Order: OldOrder): Rules => ({
    order_pay: transition(Order, { status: 'state', from: 'new', to: 'cancelled', since: 'createdAt', after: '15m' }),
    order_confirm: transition(Order, {
      ...{ status: 'state', from: 'shipped', to: 'done', deadline: 'confirmDueAt', after: '24h', history: true },
      ...{ pause: { keep: 'confirmLeftMs' }, maxExtensions: 2, extended: 'confirmExtended' },
    }),
    order_return: transition(Order, {
      ...{ status: 'state', from: 'returning', to: 'returned', deadline: 'returnDueAt', after: '7d', history: true },
      ...{ maxTotal: '3d', extended: 'returnExtendedMs', brake: { max: 10, per: '1h' } },
    }),
  })
  const opened: { close(): Promise<void> }[] = []
  const timersOf = (rules: Rules) => {
    const timers = makeTimers(rules, { redis: false })
    opened.push(timers)
    return timers
  }
  const made = (rules: Rules, options: MigrationOptions = {}) => migration(runtimeOf(timersOf(rules)), options)

  /** Everything that there is in the test's schemas. */
  const inventory = async () => {
    const { rows } = await database.client.query(
      `SELECT 'column ' || attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) AS what FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace::regnamespace::text LIKE $1 AND attnum > 0 AND NOT attisdropped
       UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname LIKE $1
       UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace::regnamespace::text LIKE $1
       UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE NOT tgisinternal AND relnamespace::regnamespace::text LIKE $1
       ORDER BY 1`,
      [`%${database.schema}%`],
    )
    return rows.map(({ what }) => what as string)
  }

  it('has exactly what the rules need', async () => {
    const Order = await oldShop()
    const { kinds, up, down } = made(everything(Order))
    assert.deepEqual(kinds, ['order_pay', 'order_confirm', 'order_return'])
    const [history, brake] = ['CREATE TABLE IF NOT EXISTS "order_timers_history" (', 'CREATE TABLE IF NOT EXISTS "order_timers_brakes" (']
    assert.deepEqual(
      up.map((sql) => /^ {2}(?:ALTER|CREATE) .*?(?=;?$)/m.exec(sql)?.[0].trim()),
      [
        'CREATE INDEX IF NOT EXISTS "old_orders_state_created_at" ON "old_orders" ("state", "created_at")',
        'ALTER TABLE "old_orders" ADD COLUMN IF NOT EXISTS "confirm_due_at" timestamptz',
        'ALTER TABLE "old_orders" ADD COLUMN IF NOT EXISTS "confirm_left_ms" bigint',
        'ALTER TABLE "old_orders" ADD COLUMN IF NOT EXISTS "confirm_extended" integer',
        'CREATE INDEX IF NOT EXISTS "old_orders_confirm_due_at_due" ON "old_orders" ("confirm_due_at", "id") WHERE "confirm_due_at" IS NOT NULL',
        history,
        'ALTER TABLE "old_orders" ADD COLUMN IF NOT EXISTS "return_due_at" timestamptz',
        'ALTER TABLE "old_orders" ADD COLUMN IF NOT EXISTS "return_extended_ms" bigint',
        'CREATE INDEX IF NOT EXISTS "old_orders_return_due_at_due" ON "old_orders" ("return_due_at", "id") WHERE "return_due_at" IS NOT NULL',
        brake,
        ...OWN_TABLES.map((name) => `CREATE TABLE IF NOT EXISTS "${name}" (`),
      ],
    )
    assert.match(down[0] as string, new RegExp(`^ +DROP TABLE "${OWN_TABLES.at(-1)}";$`, 'm'))
    assert.equal(down.length, 10 + OWN_TABLES.length)
  })

  it('covers only the given rules, and only one database', async () => {
    const Order = await oldShop()
    const { kinds, up } = made(everything(Order), { kinds: ['order_pay'] })
    assert.deepEqual([kinds, up.length], [['order_pay'], 1 + OWN_TABLES.length])
    const other = database.connectSequelize()
    const rules = { ...everything(Order), other: transition(other.Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }) }
    const { code, message } = await refused(() => made(rules))
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_OPTION')
    assert.match(message, /the rules lie in 2 databases/)
    assert.equal(made(rules, { kinds: ['other'] }).up.length, 1 + OWN_TABLES.length)
  })

  it('needs an index on "since" alone for an effect, whose condition is not one column, and nothing for a plain function', async () => {
    const Order = await oldShop()
    const unpaid = effect(Order, { where: { state: 'new' }, since: 'createdAt', after: '15m', run: () => {} })
    const [up = '', ...own] = made({ unpaid }).up
    assert.match(up, /^ {2}CREATE INDEX IF NOT EXISTS "old_orders_created_at" ON "old_orders" \("created_at"\);$/m)
    const tables = own.map((sql) => /^ {2}CREATE TABLE IF NOT EXISTS "(\w+)" \($/m.exec(sql)?.[1])
    assert.deepEqual(tables, OWN_TABLES)
    const inRedis = { order_other: async () => {} }
    assert.deepEqual([made(inRedis).up, made(inRedis).down], [[], []])
    assert.equal(migrationAsSql(made(inRedis)), "-- The order timers' rules (order_other) need no column, index or table.\n")
    assert.equal(migrationAsModule(made(inRedis), 'esm'), "// The order timers' rules (order_other) need no column, index or table.\n")
  })

  it('gives an index a name that Postgres keeps whole', async () => {
    const name = 'o'.repeat(60)
    const Long = database.sequelize.define('Long', { status: DataTypes.INTEGER, dueAt: DataTypes.DATE }, { tableName: name })
    const { up } = made({ long: transition(Long, { from: 1, to: 0, deadline: 'dueAt' }) })
    assert.match(up[1] as string, /^ {2}CREATE INDEX IF NOT EXISTS "order_timers_[0-9a-f]{16}" ON "o{60}"/m)
  })

  interface Runnable {
    up(given: unknown): Promise<void>
    down(given: unknown): Promise<void>
  }
  /** The four ways in which what is printed is run. */
  const ways: [
    string,
    (rules: Rules, options: MigrationOptions, sequelize: Sequelize) => Promise<{ up(): Promise<unknown>; down(): Promise<unknown> }>,
  ][] = [
    [
      'as plain SQL',
      async (rules, options) => {
        const sql = migrationAsSql(made(rules, options))
        const [up = '', down = ''] = sql.split('-- To undo it')
        const uncommented = down
          .split('\n')
          .slice(1)
          .map((line) => line.replace(/^-- /, ''))
        return { up: () => database.client.query(up), down: () => database.client.query(uncommented.join('\n')) }
      },
    ],
    [
      'as an ES module under umzug',
      async (rules, options, sequelize) => {
        await project.write('migration.mjs', migrationAsModule(made(rules, options), 'esm'))
        const module = (await import(pathToFileURL(`${project.directory}/migration.mjs`).href)) as Runnable
        const given = { name: 'order-timers', context: sequelize.getQueryInterface() }
        return { up: () => module.up(given), down: () => module.down(given) }
      },
    ],
    [
      'as CommonJS under sequelize-cli',
      async (rules, options, sequelize) => {
        await project.write('migration.cjs', migrationAsModule(made(rules, options), 'commonjs'))
        const module = createRequire(import.meta.url)(`${project.directory}/migration.cjs`) as Runnable
        const given: QueryInterface = sequelize.getQueryInterface()
        return { up: () => module.up(given), down: () => module.down(given) }
      },
    ],
  ]
  for (const [way, prepare] of ways) {
    it(`gives an old table what timers.check() asks for ${way}, twice without harm, and undoes it`, async () => {
      const Order = await oldShop()
      const rules = everything(Order)
      const before = await inventory()
      const timers = timersOf(rules)
      await refused(() => timers.check())
      const { up, down } = await prepare(rules, { trigger: true }, database.sequelize)
      await up()
      await timers.check()
      const after = await inventory()
      assert.ok(after.some((what) => what.startsWith('trigger')))
      await up()
      assert.deepEqual(await inventory(), after)
      await down()
      assert.deepEqual(await inventory(), before)
      await down()
    })

    it(`undoes only what it added itself ${way}: columns, an index and a table that were there before stay`, async () => {
      const Order = await oldShop()
      await database.client.query(`ALTER TABLE old_orders ADD COLUMN confirm_due_at timestamptz, ADD COLUMN return_extended_ms bigint`)
      await database.client.query('CREATE INDEX old_orders_confirm_due_at_due ON old_orders (confirm_due_at)')
      await database.client.query(
        'CREATE TABLE order_timers_brakes (kind text PRIMARY KEY, since timestamptz, settled integer, braked_at timestamptz)',
      )
      await database.client.query(`INSERT INTO old_orders (state, created_at, confirm_due_at) VALUES ('shipped', now(), now())`)
      const before = await inventory()
      const { up, down } = await prepare(everything(Order), { trigger: true }, database.sequelize)
      for (const _ of [1, 2]) {
        await up()
        await up()
        await down()
        assert.deepEqual(await inventory(), before)
        await down()
      }
      assert.deepEqual(await inventory(), before)
      assert.equal((await database.client.query('SELECT FROM old_orders WHERE confirm_due_at IS NOT NULL')).rowCount, 1)
    })
  }

  it('leaves what an earlier migration added, the trigger as it was among it', async () => {
    const Order = await oldShop()
    const rules = everything(Order)
    const run = async (statements: readonly string[]) => {
      for (const sql of statements) await database.client.query(sql)
    }
    const first = made(rules, { kinds: ['order_confirm'], trigger: true })
    const second = made(rules, { trigger: true })
    const empty = await inventory()
    const body = async () =>
      (await database.client.query("SELECT prosrc FROM pg_proc WHERE proname = 'order_timers_old_orders'")).rows[0]?.prosrc
    await run(first.up)
    const [before, bodyBefore] = [await inventory(), await body()]
    await run([...second.up, ...second.up])
    assert.notEqual(await body(), bodyBefore)
    await run(first.down.slice(1)) // in the wrong order nothing of the second is lost
    await run(second.down)
    assert.deepEqual(
      [(await inventory()).filter((what) => /(trigger|function) order_timers/.test(what)).length, await body()],
      [2, bodyBefore],
    )
    await run(first.up)
    assert.deepEqual(await inventory(), before)
    await run([...second.down, ...first.down])
    assert.deepEqual(await inventory(), empty)
  })

  it('undoes what exists of it if only a part was run, or its table is gone', async () => {
    const Order = await oldShop()
    const before = await inventory()
    const { up, down } = made(everything(Order), { trigger: true })
    for (let count = 1; count <= up.length; count++) {
      for (const sql of [...up.slice(0, count), ...down]) await database.client.query(sql)
      assert.deepEqual(await inventory(), before, `after ${count} of ${up.length} statements`)
    }
    await database.client.query('DROP TABLE old_orders CASCADE')
    for (const sql of down) await database.client.query(sql)
  })

  it("refuses to replace a trigger of the same name that is somebody else's", async () => {
    const Order = await oldShop()
    await database.client.query('CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$')
    await database.client.query('CREATE TRIGGER order_timers BEFORE UPDATE ON old_orders FOR EACH ROW EXECUTE FUNCTION theirs()')
    const before = await inventory()
    await assert.rejects(
      database.client.query(migrationAsSql(made(everything(Order), { trigger: true }))),
      /the trigger order_timers on old_orders is not one that order-timers made; rename it first/,
    )
    await database.client.query('ROLLBACK')
    assert.deepEqual(await inventory(), before)
  })

  it('says of each rule that has no trigger why it has none', async () => {
    const Order = await oldShop()
    const rules: Rules = {
      ...everything(Order),
      unpaid: effect(Order, { where: { state: 'new' }, deadline: 'confirmDueAt', run: () => {} }),
      order_ship: transition(Order, { status: 'state', from: 'paid', to: 'lost', deadline: false, after: '1h' }),
      order_other: async () => {},
    }
    delete rules.order_confirm
    const { notes } = made(rules, { trigger: true })
    assert.deepEqual(
      notes.map((note) => note.split(', since ')[0]),
      ['order_pay', 'unpaid', 'order_ship', 'order_other'].map((kind) => `${kind}: --trigger prints nothing for it`),
    )
    assert.deepEqual(made(rules).notes, [])
    const texts = [migrationAsSql(made(rules, { trigger: true })), migrationAsModule(made(rules, { trigger: true }), 'esm')]
    const alone = made(rules, { trigger: true, kinds: ['order_other'] })
    for (const text of texts) for (const note of notes) assert.ok(text.includes(note), note)
    assert.match(migrationAsSql(alone), /need no column, index or table\.\n-- order_other: --trigger prints nothing for it/)
  })

  it('puts everything into the schema of the model, and finds it there', async () => {
    const schema = `${database.schema}_shop`
    const Order = await oldShop(schema)
    const rules = everything(Order)
    const before = await inventory()
    const timers = timersOf(rules)
    const { up, down } = made(rules, { trigger: true })
    try {
      for (const sql of [...up, ...up]) await database.client.query(sql)
      await timers.check()
      const added = (await inventory()).filter((what) => !before.includes(what) && /^(column|index)/.test(what))
      assert.deepEqual(
        added.filter((what) => !what.includes(schema)),
        [],
      )
      for (const sql of down) await database.client.query(sql)
      assert.deepEqual(await inventory(), before)
    } finally {
      await database.client.query(`DROP SCHEMA "${schema}" CASCADE`)
    }
  })

  it('changes nothing if it does not get its locks', async () => {
    const Order = await oldShop()
    const before = await inventory()
    const sql = migrationAsSql(made(everything(Order))).replace("'5s'", "'50ms'")
    const other = await database.connect()
    await other.query('BEGIN; LOCK TABLE old_orders IN ACCESS SHARE MODE')
    await assert.rejects(database.client.query(sql), { code: '55P03' })
    await other.query('ROLLBACK')
    await database.client.query('ROLLBACK')
    assert.deepEqual(await inventory(), before)
  })
})
