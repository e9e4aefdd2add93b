import assert from 'node:assert/strict'
import { DataTypes, Model, type ModelStatic } from 'sequelize'
import { triggerSql } from '../../lib/auto/trigger.js'
import { type Rules, transition } from '../../lib/index.js'
import { RUNTIME, type Runtime } from '../../lib/timers/runtime.js'
import type { Database } from '../support/database.js'
import { refusal, refused } from '../support/refused.js'
import { openShop, type Shop } from '../support/shop.js'

type AnyShop = Shop<Rules>

const statementsOf = (shop: AnyShop) => triggerSql((shop.timers as unknown as { [RUNTIME]: Runtime })[RUNTIME].rules())

describe('the trigger that a migration can create', () => {
  let shop: AnyShop
  let Parcel: ModelStatic<Model>

  afterEach(() => shop.close())

  const define = ({ sequelize }: Database) =>
    class Parcels extends Model {}.init(
      {
        status: { type: DataTypes.STRING, field: 'State $1' },
        dueAt: { type: DataTypes.DATE, field: "due 'at'" },
        keptMs: { type: DataTypes.BIGINT, field: 'kept_ms' },
        extended: DataTypes.INTEGER,
        payBy: DataTypes.DATE,
        disputed: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false, field: 'Is Disputed' },
      },
      { sequelize, modelName: 'Parcel', tableName: 'Parcels US$1', timestamps: false },
    )

  async function open(confirm: object = {}, pay: object = {}): Promise<void> {
    shop = await openShop((database) => {
      Parcel = define(database)
      return {
        confirm: transition(Parcel, { from: "it's $1", to: 'done', deadline: 'dueAt', after: '1h', ...confirm } as never),
        pay: transition(Parcel, { from: 'placed', to: 'gone', deadline: 'payBy', after: '15m', ...pay } as never),
        seen: transition(Parcel, { from: 'placed', to: 'gone', deadline: false }),
      } as unknown as Rules
    })
    await Parcel.sync()
    for (let twice = 0; twice < 2; twice += 1) for (const sql of statementsOf(shop)) await shop.database.sequelize.query(sql)
  }

  /** A statement by hand over one parcel; the row after it, instants as the milliseconds from now. */
  const sql = async (statement: string, ...bind: unknown[]) => {
    await shop.database.client.query(statement.replaceAll('parcels', '"Parcels US$1"'), bind)
    const left = (column: string) => `round(extract(epoch from ${column} - now()) / 60)::float8`
    const { rows } = await shop.database.client.query(
      `SELECT ${left(`"due 'at'"`)} AS due, ${left('"payBy"')} AS pay, round(kept_ms / 60000.0)::int AS kept, extended FROM "Parcels US$1"`,
    )
    return rows[0]
  }
  const SHIPPED = `UPDATE parcels SET "State $1" = 'it''s $1'`

  it('starts a timer where an order comes into "from", and ends it where it leaves', async () => {
    await open()
    assert.deepEqual(await sql(`INSERT INTO parcels ("State $1") VALUES ('placed')`), { due: null, pay: 15, kept: null, extended: null })
    assert.deepEqual(await sql(SHIPPED), { due: 60, pay: null, kept: null, extended: null })
    await sql(`UPDATE parcels SET "due 'at'" = "due 'at'" - interval '20 min'`)
    assert.equal((await sql(SHIPPED)).due, 40, 'a row that is in "from" already is not started again')
    await sql(`UPDATE parcels SET "due 'at'" = NULL`)
    assert.equal((await sql(SHIPPED)).due, null, 'what was cancelled stays cancelled')
    await sql(SHIPPED.replace("it''s $1", 'done'))
    assert.equal((await sql(SHIPPED)).due, 60)
    assert.equal((await sql(`UPDATE parcels SET "State $1" = 'done'`)).due, null)
    assert.equal((await sql(`UPDATE parcels SET "State $1" = NULL`)).due, null)
  })

  it('keeps a deadline that the same statement writes', async () => {
    await open()
    const given = `now() + interval '5 min'`
    assert.equal((await sql(`INSERT INTO parcels ("State $1", "payBy") VALUES ('placed', ${given})`)).pay, 5)
    assert.equal((await sql(`${SHIPPED}, "due 'at'" = ${given}`)).due, 5)
  })

  it('overwrites a deadline from an earlier stay', async () => {
    await open({ pause: { keep: 'keptMs' }, maxExtensions: 2, extended: 'extended' })
    await sql(`INSERT INTO parcels ("State $1", "due 'at'", kept_ms, extended) VALUES ('x', now(), 60000, 2)`)
    assert.deepEqual(await sql(SHIPPED), { due: 60, pay: null, kept: null, extended: null })
    await sql('UPDATE parcels SET kept_ms = 120000')
    assert.equal((await sql(`UPDATE parcels SET "State $1" = 'x'`)).kept, null)
  })

  it('applies "pause.while": pauses, and resumes', async () => {
    await open({ pause: { keep: 'keptMs', while: { disputed: true } } })
    await sql(`INSERT INTO parcels ("State $1", "Is Disputed") VALUES ('it''s $1', FALSE)`)
    assert.deepEqual(await sql('UPDATE parcels SET "Is Disputed" = TRUE'), { due: null, pay: null, kept: 60, extended: null })
    assert.deepEqual(await sql('UPDATE parcels SET extended = 1'), { due: null, pay: null, kept: 60, extended: 1 })
    assert.deepEqual(await sql('UPDATE parcels SET "Is Disputed" = FALSE'), { due: 60, pay: null, kept: null, extended: 1 })
    await sql(`UPDATE parcels SET "State $1" = 'x', "Is Disputed" = TRUE`)
    assert.deepEqual(await sql(SHIPPED), { due: null, pay: null, kept: 60, extended: 1 })
    const STALE = `"due 'at'" = now() - interval '30 days', kept_ms = NULL`
    assert.deepEqual(await sql(`UPDATE parcels SET ${STALE}`), { due: -43_200, pay: null, kept: null, extended: 1 }, 'stale')
  })

  it('leaves no deadline under "backfill" where an order leaves, so that it gets a new one if it comes back', async () => {
    await open({ backfill: true })
    await sql(`INSERT INTO parcels ("State $1") VALUES ('it''s $1')`)
    assert.equal((await sql(`UPDATE parcels SET "State $1" = 'x'`)).due, null)
    assert.equal((await sql(SHIPPED)).due, 60)
  })

  it('only ends timers of a rule without "after"', async () => {
    await open({ after: undefined })
    assert.equal((await sql(`INSERT INTO parcels ("State $1") VALUES ('it''s $1')`)).due, null)
    await sql(`UPDATE parcels SET "due 'at'" = now()`)
    assert.equal((await sql(`UPDATE parcels SET "State $1" = 'x'`)).due, null)
  })

  it('does not change settlements', async () => {
    await open({ after: 50 })
    await sql(`INSERT INTO parcels ("State $1") VALUES ('it''s $1')`)
    const worker = await shop.worker({ fallback: '* * * * * *' })
    const { rows } = await (async () => {
      const { waitForEvent } = await import('../support/waiting.js')
      if (worker.settled.length === 0) await waitForEvent(worker, 'settled')
      return shop.database.client.query('SELECT * FROM "Parcels US$1"')
    })()
    assert.deepEqual([rows[0]['State $1'], rows[0]["due 'at'"]], ['done', null])
  })

  it('is refused for an "after" that is a function', async () => {
    await open()
    await shop.close()
    shop = await openShop((database) => {
      Parcel = define(database)
      return { confirm: transition(Parcel, { from: 'x', to: 'y', deadline: 'dueAt', after: () => 1000 } as never) } as unknown as Rules
    })
    assert.deepEqual(
      await refused(() => statementsOf(shop)),
      refusal(
        'INVALID_OPTION',
        500,
        'orderTimers: rule "confirm": "after" is a function, which a trigger in Postgres cannot call; give "after" as a duration, or use "auto" in place of the trigger',
      ),
    )
  })
})
