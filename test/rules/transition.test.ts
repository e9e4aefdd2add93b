import assert from 'node:assert/strict'
import { DataTypes, Model, type ModelAttributes, type ModelOptions, type ModelStatic, Sequelize } from 'sequelize'
import { orderTimers, startExpiryWorker, transition } from '../../lib/index.js'
import { type Refusal, refusal, refused } from '../support/refused.js'

const sequelize = new Sequelize({ dialect: 'postgres' })
const COLUMNS = { status: DataTypes.INTEGER, stage: DataTypes.ENUM('new', 'done'), confirmDueAt: DataTypes.DATE, dueOn: DataTypes.DATEONLY }

function define(attributes: ModelAttributes = {}, options: ModelOptions = {}): ModelStatic<Model> {
  return class Order extends Model {}.init({ ...COLUMNS, ...attributes }, { sequelize, modelName: 'Order', ...options })
}

const Order = define()
const PLAIN = { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }
const invalid = (message: string) => refusal('INVALID_OPTION', 500, `orderTimers: rule "order_confirm": ${message}`)
const invalidModel = (message: string) => refusal('INVALID_MODEL', 500, `orderTimers: rule "order_confirm": ${message}`)
const invalidStatus = (message: string) => refusal('INVALID_STATUS', 500, `orderTimers: rule "order_confirm": ${message}`)

/** The timers with this one rule; nothing is connected to. */
function timersWith(options: unknown, model: unknown = Order) {
  return orderTimers({ redis: false, rules: { order_confirm: transition(model as typeof Order, options as never) } })
}

const declared = (options: unknown, model: unknown = Order): Promise<Refusal> => refused(() => timersWith(options, model))

/** What a rule that could be declared is refused with when it is first used; by the worker and by a call alike. */
async function used(options: object, model: unknown = Order): Promise<Refusal> {
  const timers = timersWith({ ...PLAIN, ...options }, model)
  const atStart = await refused(() => startExpiryWorker(timers))
  assert.deepEqual(await refused(() => timers.schedule('order_confirm', 34)), atStart)
  assert.deepEqual(await refused(() => timers.check()), atStart)
  return atStart
}

describe('transition(Model, options)', () => {
  it('takes a model, or a function that returns it, and its options as an object', async () => {
    const message = 'transition() takes a Sequelize model, or a function that returns it, got '
    assert.deepEqual(await declared(PLAIN, null), invalid(`${message}null`))
    assert.deepEqual(await declared(PLAIN, 'Order'), invalid(`${message}"Order"`))
    assert.deepEqual(await declared(null), invalid('transition() takes its options as an object, got null'))
    assert.deepEqual(await declared(undefined), invalid('transition() takes its options as an object, got undefined'))
  })

  it('refuses a misspelt option', async () => {
    const known = [
      ...[
        'from, to, status, set, individualHooks, auto, where, run, afterCommit, history, description, attempts, timeout, staleAfter, reminders',
      ],
      ...['dryRun, brake, verify, deadline, since, after, pause, maxExtensions, maxTotal, extended, backfill'],
    ].join(', ')
    assert.deepEqual(
      await declared({ ...PLAIN, dedline: 'confirmDueAt' }),
      refusal('INVALID_OPTION', 500, `orderTimers: rule "order_confirm": unknown option "dedline"; the options are ${known}`),
    )
  })

  it('refuses values that are no statuses', async () => {
    assert.deepEqual(await declared({ ...PLAIN, from: undefined }), invalid('"from" must be a status or several, got undefined'))
    assert.deepEqual(await declared({ ...PLAIN, from: [] }), invalid('"from" must be a status or several, got []'))
    assert.deepEqual(await declared({ ...PLAIN, from: [4, 1.5] }), invalid('"from" must be a status or several, got an array of 2'))
    assert.deepEqual(await declared({ ...PLAIN, from: '' }), invalid('"from" must be a status or several, got ""'))
    assert.deepEqual(await declared({ ...PLAIN, to: undefined }), invalid('"to" must be a status, got undefined'))
    assert.deepEqual(await declared({ ...PLAIN, to: null }), invalid('"to" must be a status, got null'))
    assert.deepEqual(await declared({ ...PLAIN, to: [5] }), invalid('"to" must be a status, got an array of 1'))
  })

  it('refuses a "to" among "from", as a number or as text', async () => {
    const message = '"to" must not be among "from", since an order would be settled again and again; got '
    assert.deepEqual(await declared({ ...PLAIN, to: 4 }), invalid(`${message}from 4 to 4`))
    assert.deepEqual(await declared({ ...PLAIN, from: [3, 4], to: '4' }), invalid(`${message}from an array of 2 to "4"`))
  })

  it('takes exactly one of "deadline" and "since"', async () => {
    const message = 'exactly one of "deadline" and "since" must be given, got '
    const remedy = '; "deadline: false" keeps deadlines only in Redis'
    assert.deepEqual(await declared({ from: 4, to: 5 }), invalid(`${message}neither${remedy}`))
    assert.deepEqual(await declared({ ...PLAIN, since: 'createdAt' }), invalid(`${message}both${remedy}`))
    assert.deepEqual(await declared({ ...PLAIN, deadline: false, since: 'createdAt' }), invalid(`${message}both${remedy}`))
  })

  it('refuses attributes that are not given by name', async () => {
    assert.deepEqual(await declared({ ...PLAIN, deadline: '' }), invalid('"deadline" must be the name of an attribute, got ""'))
    assert.deepEqual(await declared({ ...PLAIN, deadline: null }), invalid('"deadline" must be the name of an attribute, got null'))
    assert.deepEqual(await declared({ ...PLAIN, deadline: true }), invalid('"deadline" must be the name of an attribute, got true'))
    assert.deepEqual(await declared({ ...PLAIN, status: 7 }), invalid('"status" must be the name of an attribute, got 7'))
    assert.deepEqual(await declared({ from: 1, to: 0, since: 7, after: '15m' }), invalid('"since" must be the name of an attribute, got 7'))
  })

  it('needs "after" with "since"', async () => {
    const message = `"after" must say how long after "createdAt" the deadline is, such as '15m'`
    assert.deepEqual(await declared({ from: 1, to: 0, since: 'createdAt' }), invalid(message))
  })

  it('refuses values that are no durations, and names the option', async () => {
    for (const [name, bounds] of Object.entries({
      after: 'ten years',
      timeout: '100ms at least and 1d',
      staleAfter: '1s at least and ten years',
    })) {
      const message = `orderTimers: rule "order_confirm": "${name}" must be a duration such as '24h' or a positive whole number of milliseconds, of ${bounds} at most, got "1 fortnight"`
      assert.deepEqual(await declared({ ...PLAIN, [name]: '1 fortnight' }), refusal('INVALID_DURATION', 400, message))
    }
  })

  it('refuses wrong values of "attempts", "run" and "set"', async () => {
    assert.deepEqual(await declared({ ...PLAIN, attempts: 0 }), invalid('"attempts" must be a whole number from 1, got 0'))
    assert.deepEqual(await declared({ ...PLAIN, attempts: '3' }), invalid('"attempts" must be a whole number from 1, got "3"'))
    assert.deepEqual(await declared({ ...PLAIN, run: 'mail' }), invalid('"run" must be a function, got "mail"'))
    const message = (name: string) => invalid(`"set" must not write "${name}", which the rule writes itself`)
    assert.deepEqual(await declared({ ...PLAIN, set: { status: 5 } }), message('status'))
    assert.deepEqual(await declared({ ...PLAIN, set: { confirmDueAt: null } }), message('confirmDueAt'))
  })
})

describe("a rule's model, which is checked when the rule is first used,", () => {
  it('must be initialised by then', async () => {
    class Later extends Model {}
    const message = (shown: string) =>
      `the model must be an initialised Sequelize model, got ${shown}; call Order.init(…) before the timers are first used, or pass a function that returns the model`
    assert.deepEqual(await used({}, Later), invalidModel(message('[Function: Later]')))
    assert.deepEqual(await used({}, () => undefined), invalidModel(message('undefined')))
    const timers = timersWith(PLAIN, Later)
    Later.init(COLUMNS, { sequelize })
    await startExpiryWorker(
      orderTimers({ redis: false, enabled: false, rules: { order_confirm: transition(Later, PLAIN as never) } }),
    ).stop()
    await timers.close()
  })

  it('must have the attributes that the rule names', async () => {
    const known = 'id, status, stage, confirmDueAt, dueOn, createdAt, updatedAt'
    const message = (option: string, name: string) =>
      invalidModel(`${option} names the attribute "${name}", which Order does not have; its attributes are ${known}`)
    assert.deepEqual(await used({ deadline: 'confirmDueOn' }), message('"deadline"', 'confirmDueOn'))
    assert.deepEqual(await used({ status: 'state' }), message('"status"', 'state'))
    assert.deepEqual(await used({ set: { confirmedBy: 'timer' } }), message('"set"', 'confirmedBy'))
    const since = { deadline: undefined, since: 'placedAt' }
    assert.deepEqual(await used(since), message('"since"', 'placedAt'))
  })

  it('must have its deadline as a point in time', async () => {
    const message = (option: string, name: string, type: string) =>
      invalidModel(`${option} must name an attribute of type DATE (timestamp with time zone), but "${name}" is ${type}`)
    assert.deepEqual(await used({ deadline: 'stage' }), message('"deadline"', 'stage', 'ENUM'))
    assert.deepEqual(await used({ deadline: 'dueOn' }), message('"deadline"', 'dueOn', 'DATEONLY'))
    assert.deepEqual(await used({ deadline: undefined, since: 'status' }), message('"since"', 'status', 'INTEGER'))
  })

  it('must be able to hold the statuses', async () => {
    const enumMessage = (option: string, shown: string) =>
      invalidStatus(`${option} must be one of the values of Order.stage ("new", "done"), got ${shown}`)
    assert.deepEqual(await used({ status: 'stage', from: 'nwe', to: 'done' }), enumMessage('"from"', '"nwe"'))
    assert.deepEqual(await used({ status: 'stage', from: ['new'], to: 'dnoe' }), enumMessage('"to"', '"dnoe"'))
    assert.deepEqual(await used({ status: 'stage', from: 1, to: 2 }), enumMessage('"from"', '1'))
    const message = '"from" must be a whole number, since Order.status is INTEGER, got "shipped"'
    assert.deepEqual(await used({ from: 'shipped' }), invalidStatus(message))
  })

  it('must have one primary key, of a type whose ids can stand in a key', async () => {
    const two = define({ a: { type: DataTypes.INTEGER, primaryKey: true }, b: { type: DataTypes.INTEGER, primaryKey: true } })
    assert.deepEqual(await used({}, two), invalidModel('Order must have a primary key of one attribute, it has a, b'))
    const none = define()
    none.removeAttribute('id')
    assert.deepEqual(await used({}, none), invalidModel('Order must have a primary key of one attribute, it has none'))
    const dated = define({ id: { type: DataTypes.DATE, primaryKey: true } })
    const message = 'the primary key Order.id must be an integer, BIGINT, UUID or STRING, it is DATE'
    assert.deepEqual(await used({}, dated), invalidModel(message))
  })
})
