import assert from 'node:assert/strict'
import { DataTypes, Model, type Options, Sequelize } from 'sequelize'
import { orderTimers, transition } from '../../lib/index.js'
import { Lines } from '../support/lines.js'
import { refusal, refused } from '../support/refused.js'

class Order extends Model {}
class Parcel extends Model {}
const invalid = (message: string) => refusal('INVALID_OPTION', 500, message)
const made = (options: unknown) => refused(() => orderTimers(options as never))
const withOption = (option: object) => made({ rules: { order_other: () => {} }, redis: false, ...option })
const confirm = (attribute: string, model: typeof Order | (() => typeof Order) = Order) =>
  transition(model, { from: 4, to: 5, deadline: attribute as never, after: '24h' })

describe('orderTimers(options)', () => {
  it('takes an object', async () => {
    const message = (shown: string) => `orderTimers() takes its options as an object, such as { redis, rules }, got ${shown}`
    assert.deepEqual(await made(undefined), invalid(message('undefined')))
    assert.deepEqual(await made(null), invalid(message('null')))
    assert.deepEqual(await made('redis://127.0.0.1'), invalid(message('"redis://127.0.0.1"')))
  })

  it('refuses a misspelt option', async () => {
    const message = 'orderTimers: unknown option "rule"; the options are redis, rules, enabled, prefix, logger'
    assert.deepEqual(await made({ rule: {} }), invalid(message))
  })

  it('refuses to be without a rule', async () => {
    const message = 'orderTimers: "rules" must have at least one rule, such as { order_confirm: transition(Order, …) }, got '
    assert.deepEqual(await made({}), invalid(`${message}undefined`))
    assert.deepEqual(await made({ rules: {} }), invalid(`${message}{}`))
    assert.deepEqual(await made({ rules: 'order_confirm' }), invalid(`${message}"order_confirm"`))
  })

  it('refuses a name of a rule that cannot be the beginning of a key', async () => {
    const message = (shown: string) =>
      `orderTimers: a rule's name must be letters, digits and _ . - (64 at most, no colon) and not "order-timers", got ${shown}`
    for (const kind of ['order:confirm', '', '1st', 'order-timers', 'a\nb']) {
      assert.deepEqual(await made({ rules: { [kind]: () => {} } }), invalid(message(JSON.stringify(kind))))
    }
  })

  it('refuses a rule that is none', async () => {
    const message = 'orderTimers: rule "order_confirm" must be transition(Model, …) or a function, got '
    assert.deepEqual(await made({ rules: { order_confirm: { from: 4, to: 5 } } }), invalid(`${message}an object with the keys from, to`))
    assert.deepEqual(await made({ rules: { order_confirm: null } }), invalid(`${message}null`))
  })

  it('refuses other values of "enabled", "prefix" and "logger"', async () => {
    assert.deepEqual(await withOption({ enabled: 'off' }), invalid('orderTimers: "enabled" must be true or false, got "off"'))
    const prefix = 'orderTimers: "prefix" must be text of 64 characters at most without blanks and braces, got '
    assert.deepEqual(await withOption({ prefix: 'my shop:' }), invalid(`${prefix}"my shop:"`))
    assert.deepEqual(await withOption({ prefix: '{shop}' }), invalid(`${prefix}"{shop}"`))
    assert.deepEqual(await withOption({ prefix: 7 }), invalid(`${prefix}7`))
    assert.deepEqual(await withOption({ prefix: 'x'.repeat(65) }), invalid(`${prefix}"${'x'.repeat(65)}"`))
    const logger =
      'orderTimers: "logger" must have the functions debug, info, warn and error, as pino and console do, or be false for silence, got '
    assert.deepEqual(await withOption({ logger: { info() {} } }), invalid(`${logger}an object with the keys info`))
    assert.deepEqual(await withOption({ logger: true }), invalid(`${logger}true`))
    assert.deepEqual(await withOption({ logger: null }), invalid(`${logger}null`))
  })

  it('refuses a Redis that is none', async () => {
    const message = 'orderTimers: "redis" must be a URL such as redis://127.0.0.1:6379, ioredis options, an ioredis client or false, got '
    assert.deepEqual(await withOption({ redis: true }), invalid(`${message}true`))
    assert.deepEqual(await withOption({ redis: null }), invalid(`${message}null`))
    class Bare {}
    assert.deepEqual(await withOption({ redis: new Bare() }), invalid(`${message}an instance of Bare`))
  })

  it('says which Redis is used where "redis" was given and is undefined, and nothing where it was left out', () => {
    const lines = new Lines()
    const rules = { order_other: () => {} }
    orderTimers({ rules, redis: undefined, logger: lines })
    orderTimers({ rules, logger: lines })
    orderTimers({ rules, redis: undefined, enabled: false, logger: lines })
    assert.deepEqual(lines.of('warn'), [
      'orderTimers: "redis" was given and is undefined (an environment variable that is not set?); 127.0.0.1:6379 db 0 is used',
    ])
  })

  it('refuses a db of a cluster, and a keyPrefix that would put all keys on one node', async () => {
    const cluster = (options: object) => withOption({ redis: { isCluster: true, status: 'ready', options, duplicate() {} } })
    const db = 'orderTimers: "redis" names db 2, and a cluster has db 0 alone; use "prefix" instead'
    assert.deepEqual(await cluster({ redisOptions: { db: 2 } }), refusal('INVALID_OPTION', 500, db))
    const braces = 'orderTimers: "redis" has the keyPrefix "{shop}:", whose braces would put all keys on one node; give one without braces'
    assert.deepEqual(await cluster({ keyPrefix: '{shop}:' }), refusal('INVALID_OPTION', 500, braces))
  })

  it('refuses two rules on one attribute of one model, and none that differ', async () => {
    const message =
      'orderTimers: rule "order_return": "deadline" names "confirmDueAt", which is the deadline of rule "order_confirm" already; give each rule an attribute of its own'
    const both = { order_confirm: confirm('confirmDueAt'), order_return: confirm('confirmDueAt') }
    assert.deepEqual(await made({ rules: both, redis: false }), refusal('SHARED_DEADLINE', 500, message))
    const rules = {
      a: confirm('confirmDueAt'),
      b: confirm('payDueAt'),
      c: transition(Parcel, { from: 4, to: 5, deadline: 'confirmDueAt' as never }),
    }
    orderTimers({ rules, redis: false })
  })

  it('refuses two rules on one attribute when models given as functions turn out to be one', async () => {
    const sequelize = new Sequelize({ dialect: 'postgres' })
    class Late extends Model {}
    Late.init({ status: DataTypes.INTEGER, confirmDueAt: DataTypes.DATE }, { sequelize })
    const rules = {
      order_confirm: confirm('confirmDueAt', () => Late as never),
      order_return: confirm('confirmDueAt', () => Late as never),
    }
    const timers = orderTimers({ rules, redis: false })
    const message =
      'orderTimers: rule "order_return": "deadline" names "confirmDueAt", which is the deadline of rule "order_confirm" already; give each rule an attribute of its own'
    const checked = await refused(() => timers.check())
    assert.deepEqual([checked.code, checked.status], ['ERR_ORDER_TIMERS_SHARED_DEADLINE', 500])
    const [shared, unseen] = checked.message.split('\n- ').slice(1)
    assert.equal(`orderTimers: ${shared}`, message)
    assert.match(unseen ?? '', /^Postgres did not describe "Lates"/)
    assert.deepEqual(await refused(() => timers.schedule('order_return', 34)), refusal('SHARED_DEADLINE', 500, message))
  })

  it('refuses two rules on one attribute of models of two Sequelize instances with the same database', async () => {
    const late = (options: Options) => {
      class Late extends Model {}
      Late.init(
        { status: DataTypes.INTEGER, confirmDueAt: DataTypes.DATE },
        { sequelize: new Sequelize({ dialect: 'postgres', ...options }) },
      )
      return () => Late as never
    }
    const isRefused = async (other: Options) => {
      const rules = { order_confirm: confirm('confirmDueAt', late({})), order_return: confirm('confirmDueAt', late(other)) }
      return (await refused(() => orderTimers({ rules, redis: false }).check())).message.includes('give each rule an attribute of its own')
    }
    assert.deepEqual([await isRefused({}), await isRefused({ database: 'tenant' })], [true, false])
  })

  it('looks at the options only: neither the model nor Redis is touched', () => {
    const model = () => assert.fail('the model was asked for')
    const redis = { duplicate: () => assert.fail('Redis was asked for'), options: {} }
    const rules = { order_confirm: confirm('confirmDueAt', model as never) }
    orderTimers({ rules, redis: redis as never, enabled: false })
    orderTimers({ rules, redis: 'redis://127.0.0.1:1' })
  })
})
