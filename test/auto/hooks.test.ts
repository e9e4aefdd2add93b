import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import express from 'express'
import { DataTypes, Model, type ModelStatic } from 'sequelize'
import request from 'supertest'
import { type Rules, transition } from '../../lib/index.js'
import { armed } from '../support/armed.js'
import { type Database, openDatabase } from '../support/database.js'
import { openRedis, type TestRedis } from '../support/redis.js'
import { makeTimers } from '../support/shop.js'
import { CONFIRM, defineHooked, type HookedRow } from './hooked.js'

const rule = (model: unknown) => ({ confirm: transition(model as never, CONFIRM as never) }) as Rules

describe('auto, when it hooks a model', () => {
  let database: Database
  let redis: TestRedis
  let Hooked: ModelStatic<HookedRow>

  beforeEach(async () => {
    ;[database, redis] = await Promise.all([openDatabase(), openRedis()])
    Hooked = defineHooked(database)
    await Hooked.sync()
  })

  afterEach(() => Promise.all([database.close(), redis.close()]))

  const timersOver = (model: unknown, options: object = {}) =>
    makeTimers(rule(model), { redis: redis.url, prefix: redis.prefix, ...options })
  const isTimed = async (model = Hooked) => (await model.create({ state: 4 })).dueAt instanceof Date

  it('hooks a model that is initialised when the timers are made, and one that a function returns a turn later', async () => {
    const timers = timersOver(Hooked)
    assert.equal(await isTimed(), true)
    await timers.close()
    assert.equal(await isTimed(), false)
    const late = timersOver(() => Hooked)
    await setImmediate()
    await setImmediate()
    assert.equal(await isTimed(), true)
    await late.close()
  })

  it('follows a model that is initialised again in another Sequelize, as tests of a shop do', async () => {
    class Again extends Model {}
    const columns = { state: DataTypes.INTEGER, dueAt: DataTypes.DATE }
    Again.init({ ...columns }, { sequelize: database.sequelize, timestamps: false })
    await Again.sync()
    const timers = timersOver(Again)
    const second: string[] = []
    const { sequelize } = database.connectSequelize({ logging: (sql) => void second.push(sql) })
    Again.init({ ...columns }, { sequelize, timestamps: false })
    second.length = 0
    const order = await Again.create({ state: 4 })
    assert.equal(order.get('dueAt') instanceof Date, true)
    assert.equal(second.filter((sql) => sql.includes('INSERT')).length, 1)
    await timers.cancel('confirm', order)
    assert.equal(second.filter((sql) => sql.includes('UPDATE')).length, 1)
    await timers.close()
  })

  it('hooks a model that is initialised later, with the first request, with a call, and with check()', async () => {
    class Late extends Model {}
    const init = () => Late.init({ state: DataTypes.INTEGER, dueAt: DataTypes.DATE }, { sequelize: database.sequelize, timestamps: false })
    const all = [timersOver(Late), timersOver(() => Late), timersOver(Late)] as const
    await setImmediate()
    await setImmediate()
    init()
    await Late.sync()
    const isLateTimed = async () => (await Late.create({ state: 4 })).get('dueAt') instanceof Date
    assert.equal(await isLateTimed(), false)
    const [byRequest, byCall, byCheck] = all
    const app = express().use(byRequest, (_req, res) => void res.end())
    await request(app).get('/').expect(200)
    assert.equal(await isLateTimed(), true)
    await byRequest.close()
    assert.equal(await isLateTimed(), false)
    await byCall.remaining('confirm', (await Late.create({ state: 5 })).get('id') as number)
    assert.equal(await isLateTimed(), true)
    await byCall.close()
    await byCheck.check()
    assert.equal(await isLateTimed(), true)
    await byCheck.close()
    assert.equal(await isLateTimed(), false)
  })

  it('serves two timers over one model, each arming in its own Redis keys', async () => {
    const other = await openRedis()
    const [one, two] = [timersOver(Hooked), makeTimers(rule(Hooked), { redis: other.url, prefix: other.prefix })]
    const order = await Hooked.create({ state: 4 })
    const dueAt = order.dueAt?.getTime()
    assert.deepEqual([(await armed(redis, 'confirm', order.id)).due, (await armed(other, 'confirm', order.id)).due], [dueAt, dueAt])
    await one.close()
    const second = await Hooked.create({ state: 2 })
    await second.update({ state: 4 })
    assert.equal((await armed(redis, 'confirm', second.id)).due, null)
    assert.equal((await armed(other, 'confirm', second.id)).due, second.dueAt?.getTime())
    await two.close()
    assert.equal(await isTimed(), false)
    assert.equal(Object.hasOwn(Hooked, 'queryInterface'), false, 'nothing is left on the model')
    await other.close()
  })

  it('writes rows and arms nothing where the timers are switched off', async () => {
    const timers = timersOver(Hooked, { enabled: false })
    const order = await Hooked.create({ state: 4 })
    assert.ok(order.dueAt instanceof Date)
    assert.equal((await armed(redis, 'confirm', order.id)).due, null)
    await timers.close()
  })

  it('hooks the model itself where a scope of it is given, and not the same table in another schema', async () => {
    Hooked.addScope('some', { where: { note: 'x' } })
    const timers = timersOver(Hooked.scope('some'))
    assert.equal(await isTimed(), true)
    const elsewhere = Hooked.schema(`${database.schema}`)
    const order = await elsewhere.create({ state: 4 })
    assert.equal(order.dueAt ?? null, null)
    await timers.close()
  })

  it('hooks the table in the schema that the rule is given, and not the one without it', async () => {
    const tenant = `${database.schema}_tenant`
    await database.client.query(`CREATE SCHEMA ${tenant}`)
    try {
      const OfTenant = Hooked.schema(tenant)
      await OfTenant.sync()
      const timers = timersOver(OfTenant)
      assert.equal(await isTimed(), false)
      assert.equal(await isTimed(OfTenant), true)
      assert.equal(await isTimed(Hooked.schema(tenant)), true)
      const order = await OfTenant.create({ state: 2 })
      await OfTenant.update({ state: 4 }, { where: { id: order.id } })
      await order.reload()
      assert.equal((await armed(redis, 'confirm', order.id)).due, order.dueAt?.getTime())
      await timers.close()
    } finally {
      await database.client.query(`DROP SCHEMA ${tenant} CASCADE`)
    }
  })
})
