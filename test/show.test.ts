import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { DataTypes, Model } from 'sequelize'
import { type OrderTimers, OrderTimersError, orderTimers, startExpiryWorker, transition } from '../lib/index.js'
import { show } from '../lib/show.js'
import { refused } from './support/refused.js'
import { openShop, type Shop } from './support/shop.js'
import { type OneOfEach, oneOfEach } from './support/shop-rules.js'

/** What no message may say. */
const SECRET = 'ann@example.com'

const RAW_ROW = { id: 34, status: 4, email: SECRET, note: `rings ${SECRET}` }

class Row {
  id = 34
  email = SECRET
}

const throwing = (): never => {
  throw new Error(`in the row of ${SECRET}`)
}

/** What a shop may hand over where an order, an option or a duration belongs. */
const HOSTILE: Record<string, () => unknown> = {
  'a plain row': () => ({ ...RAW_ROW }),
  'a plain row in an array': () => [RAW_ROW],
  'an array of values': () => [34, SECRET],
  'a row without a prototype': () => Object.assign(Object.create(null), RAW_ROW),
  'an instance of a class': () => new Row(),
  'a Map': () => new Map([['email', SECRET]]),
  'a Set': () => new Set([SECRET]),
  'a Buffer': () => Buffer.from(SECRET),
  'an error': () => Object.assign(new Error(`of ${SECRET}`), { row: RAW_ROW }),
  'a row by a key that is data': () => ({ [SECRET]: true }),
  'a function with a row': () => Object.assign(() => {}, { row: RAW_ROW }),
  'a row with a getter that throws': () => Object.defineProperty({ ...RAW_ROW }, 'id', { get: throwing, enumerable: true }),
  'a row whose get() throws': () => ({ ...RAW_ROW, get: throwing }),
  'a row with an inspector of its own': () => ({
    ...RAW_ROW,
    [inspect.custom]: () => SECRET,
    toString: () => SECRET,
    toJSON: () => SECRET,
  }),
  'a class named by its data': () => new (Object.defineProperty(class {}, 'name', { value: SECRET }))(),
  'a class whose name is a getter that throws': () => new (Object.defineProperty(class {}, 'name', { get: throwing }))(),
  'a proxy': () => new Proxy({ ...RAW_ROW }, { get: throwing, ownKeys: throwing, getPrototypeOf: throwing }),
  'a proxy of a function': () => new Proxy(() => {}, { get: throwing, getOwnPropertyDescriptor: throwing }),
  'an object over a proxy': () => Object.create(new Proxy({}, { get: throwing, getOwnPropertyDescriptor: throwing })),
  'a promise of a row': () => Promise.resolve(RAW_ROW),
}

describe('A value in a message', () => {
  for (const [title, make] of Object.entries(HOSTILE)) {
    it(`that is ${title} is shown by its type or its keys alone`, () => {
      assert.ok(!show(make()).includes(SECRET), show(make()))
    })
  }

  it('that is a plain row is shown by the names of its columns', () => {
    assert.equal(show(RAW_ROW), 'an object with the keys id, status, email, note')
    assert.equal(show(new Row()), 'a Row')
    assert.equal(show({ [SECRET]: 1, ok: 2 }), 'an object with the keys …, ok')
    assert.equal(
      show(Object.fromEntries('abcdefghij'.split('').map((name) => [name, 1]))),
      'an object with the keys a, b, c, d, e, f, g, h, …',
    )
  })
})

describe('No error shows anything of a row that was passed by mistake:', () => {
  let shop: Shop<OneOfEach>
  let timers: OrderTimers<OneOfEach>

  before(async () => {
    shop = await openShop(oneOfEach)
    timers = shop.timers
    await timers.check()
  })

  after(() => shop.close())

  /** Fails where the call is not refused, or says a secret. */
  const silent = async (what: string, call: () => unknown) => {
    const { message } = await refused(call)
    assert.ok(!message.includes(SECRET), `${what}: ${message}`)
  }

  /** The same for options: what code of the value's own throws while it is read is the shop's, and some values are no mistake. */
  const silentOption = async (what: string, call: () => unknown) => {
    try {
      await call()
    } catch (error) {
      if (error instanceof OrderTimersError) assert.ok(!error.message.includes(SECRET), `${what}: ${error.message}`)
    }
  }

  for (const [title, make] of Object.entries(HOSTILE)) {
    it(`${title} as the order`, async () => {
      for (const kind of ['order_confirm', 'order_pay', 'order_ship', 'order_other'] as const) {
        const calls: Record<string, () => unknown> = {
          schedule: () => timers.schedule(kind, make() as never, { after: '1h' }),
          extend: () => timers.extend(kind as never, make() as never, '1h'),
          cancel: () => timers.cancel(kind as never, make() as never),
          pause: () => timers.pause(kind as never, make() as never),
          resume: () => timers.resume(kind as never, make() as never),
          remaining: () => timers.remaining(kind, make() as never),
          retry: () => timers.retry(kind, make() as never),
          list: () => timers.list(make() as never),
        }
        if (title === 'an array of values') for (const many of ['remaining', 'list']) delete calls[many] // a list of ids
        for (const [name, call] of Object.entries(calls)) await silent(`${name}(${kind})`, call)
      }
    })

    it(`${title} as a kind, a duration, an instant or a transaction`, async () => {
      const id = await shop.order({ status: 4 })
      const value = () => make() as never
      await silent('kind', () => timers.schedule(value(), id))
      await silent('after', () => timers.schedule('order_confirm', id, { after: value() }))
      await silent('at', () => timers.schedule('order_confirm', id, { at: value() }))
      await silent('by', () => timers.extend('order_confirm', id, value()))
      await silent('transaction', () => timers.schedule('order_confirm', id, { transaction: value() }))
      await silent('transaction of a handler', () => timers.schedule('order_other', 'a', { after: '1h', transaction: value() }))
      await silent('dead', () => timers.dead(value()))
      await silent('release', () => timers.release(value()))
      await silent('what', () => timers.release('order_confirm', { what: value() }))
      await silent('grace', () => timers.release('order_confirm', { grace: value() }))
      await silent('hold', () => timers.hold(value(), { reason: 'a test' }))
      for (const name of ['reason', 'by', 'until', 'shift', 'grace'])
        await silent(name, () => timers.hold('order_confirm', { reason: 'a test', [name]: value() }))
      await silent('extendAll', () => timers.extendAll(value(), { where: { id }, by: '1h' }))
      await silent('by of many', () => timers.extendAll('order_confirm', { where: { id }, by: value() }))
      await silent('at of many', () => timers.scheduleAll('order_confirm', { where: { id }, at: value() }))
      await silent('after of many', () => timers.scheduleAll('order_confirm', { where: { id }, after: value() }))
      // The names and the listed values of `where` are shown, whatever they are.
      if (!title.includes('key that is data')) await silentOption('where', () => timers.cancelAll('order_confirm', { where: value() }))
      if (title !== 'an array of values')
        await silentOption('a value of where', () => timers.cancelAll('order_confirm', { where: { id: value() } }))
      await silent('resumeRun', () => timers.resumeRun(value()))
      await silent('abandonRun', () => timers.abandonRun(value()))
    })

    it(`${title} as an option`, async () => {
      if (title.includes('key that is data')) return // an option's name is shown, whatever it is

      const { Order } = shop.database
      const rule = (options: object) => () =>
        orderTimers({
          redis: false,
          rules: { k: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '1h', ...options }) },
        })
      for (const name of [
        'from',
        'to',
        'status',
        'deadline',
        'timeout',
        'staleAfter',
        'attempts',
        'brake',
        'reminders',
        'pause',
        'maxTotal',
        'dryRun',
        'auto',
      ])
        await silentOption(name, rule({ [name]: make() }))
      await silentOption('rules', () =>
        orderTimers({ redis: false, rules: make() as never, enabled: make() as never, prefix: make() as never }),
      )
      await silentOption('startExpiryWorker', () => startExpiryWorker(make()))
      for (const name of ['concurrency', 'configureRedis', 'lease', 'fallback'])
        await silentOption(name, () => startExpiryWorker(timers, { [name]: make() }))
    })
  }

  it("an instance of another model, whose key may be anybody's address", async () => {
    class User extends Model {}
    User.init({ email: { type: DataTypes.STRING, primaryKey: true } }, { sequelize: shop.database.sequelize })
    const user = User.build({ email: SECRET })
    for (const call of ['schedule', 'cancel', 'remaining', 'retry'] as const)
      await silent(call, () => timers[call]('order_confirm', user as never))
    await silent('list', () => timers.list(user))
  })
})
