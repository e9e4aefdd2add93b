// A status that Postgres fills in: `auto` does not see it, and so a look at the rule says so.

import assert from 'node:assert/strict'
import { DataTypes } from 'sequelize'
import { Lines } from '../support/lines.js'
import { refused } from '../support/refused.js'
import { openHooked } from './hooked.js'

const WITHOUT_DEFAULT = { state: { type: DataTypes.INTEGER, allowNull: false, field: 'State Code' } }
const SAID =
  /"pay": "auto": the column "State Code" of .* has the DEFAULT .*, which (is|may be) in "from", and the model has no defaultValue for state/

const alter = (change: string) => `ALTER TABLE "hooked US$1" ALTER "State Code" ${change}`

describe("auto, where the column's DEFAULT gives the status", () => {
  it('is reported by check() and by the worker, which continues, until the model has the same', async () => {
    const lines = new Lines()
    const shop = await openHooked({ attributes: WITHOUT_DEFAULT, logger: lines })
    const { client } = shop.database
    await shop.timers.check()
    await client.query(alter('SET DEFAULT 1'))
    const { code, message } = await refused(() => shop.timers.check())
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    assert.match(message, SAID)
    assert.doesNotMatch(message, /"confirm"/)
    const worker = await shop.worker()
    assert.deepEqual(worker.health().faults, [])
    assert.match(lines.of('warn').join('\n'), SAID)
    await shop.close()

    const other = await openHooked()
    await other.database.client.query(alter('SET DEFAULT 1'))
    await other.timers.check()
    const { id } = await other.Hooked.create({})
    assert.deepEqual(await other.timerOf(id, 'pay'), { row: 1, armed: 1 })
    await other.close()
  })

  it('is reported for each form of DEFAULT that is in "from", or may be', async () => {
    const shop = await openHooked({ attributes: WITHOUT_DEFAULT })
    const { client } = shop.database
    await client.query(`CREATE DOMAIN placed AS integer DEFAULT 1; CREATE SEQUENCE states START 40;
CREATE FUNCTION first_state() RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'`)
    const said = async (change: string) => {
      await client.query(change)
      return shop.timers.check().then(
        () => undefined,
        ({ message }) => SAID.exec(message)?.[1] ?? message,
      )
    }
    assert.equal(await said(alter('SET DEFAULT 2')), undefined)
    assert.equal(await said(alter("SET DEFAULT '1'")), 'is')
    assert.equal(await said(alter('SET DEFAULT 3 - 2')), 'is')
    assert.equal(await said(alter('SET DEFAULT first_state()')), 'is')
    assert.equal(await said(alter('SET DEFAULT NULL')), undefined)
    assert.equal(await said(alter('SET DEFAULT 1 / (extract(epoch FROM now()) * 0)::int')), 'may be')
    assert.equal(await said(alter("SET DEFAULT nextval('states')")), 'may be')
    assert.equal((await client.query("SELECT nextval('states')::int AS next")).rows[0].next, 40)
    assert.equal(await said(alter('DROP DEFAULT')), undefined)
    assert.equal(await said(alter('TYPE placed')), 'is')
    assert.equal(await said(`${alter('TYPE smallint')}; ${alter('SET DEFAULT 1')}`), 'is')
    await shop.close()
  })

  it('is not reported without "auto", since other calls start the timers', async () => {
    const shop = await openHooked({ attributes: WITHOUT_DEFAULT, pay: { auto: false }, confirm: { auto: false } })
    await shop.database.client.query(alter('SET DEFAULT 1'))
    await shop.timers.check()
    await shop.close()
  })
})
