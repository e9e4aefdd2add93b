// The options of a rule that have to do with the life of its timers: every bad one is refused by name, with its value and the remedy.

import assert from 'node:assert/strict'
import { DataTypes, Model, Sequelize } from 'sequelize'
import { orderTimers, transition } from '../../lib/index.js'
import { type Refusal, refusal, refused } from '../support/refused.js'

class Order extends Model {}
Order.init(
  {
    status: DataTypes.INTEGER,
    dueAt: DataTypes.DATE,
    leftMs: DataTypes.BIGINT,
    times: DataTypes.INTEGER,
    note: DataTypes.STRING,
    dispute: DataTypes.BOOLEAN,
  },
  { sequelize: new Sequelize({ dialect: 'postgres' }), modelName: 'Order' },
)

const PLAIN = { from: 4, to: 5, deadline: 'dueAt', after: '24h' }
const SINCE = { from: 4, to: 5, since: 'createdAt', after: '24h' }
const run = () => {}
const invalid = (message: string) => refusal('INVALID_OPTION', 500, `orderTimers: rule "order_confirm": ${message}`)
const noDuration = (name: string, shown: string, bounds = 'ten years') =>
  refusal(
    'INVALID_DURATION',
    400,
    `orderTimers: rule "order_confirm": ${name} must be a duration such as '24h' or a positive whole number of milliseconds, of ${bounds} at most, got ${shown}`,
  )
const timersWith = (options: unknown) => orderTimers({ redis: false, rules: { order_confirm: transition(Order, options as never) } })
const declared = (options: object): Promise<Refusal> => refused(() => timersWith({ ...PLAIN, ...options }))
const used = (options: object): Promise<Refusal> => refused(() => timersWith({ ...PLAIN, ...options }).schedule('order_confirm', 34))

describe("a rule's options", () => {
  it('that need a deadline on the row are refused without one', async () => {
    const given = { pause: { keep: 'leftMs' }, maxExtensions: 1, maxTotal: '1h', extended: 'times', backfill: true }
    const shown = { pause: 'an object with the keys keep', maxExtensions: '1', maxTotal: '"1h"', extended: '"times"', backfill: 'true' }
    for (const [name, value] of Object.entries(given)) {
      const message = `"${name}" needs a deadline on the row; give "deadline" the name of an attribute, got ${shown[name as keyof typeof shown]}`
      for (const form of [{ ...SINCE, deadline: undefined }, { deadline: false }])
        assert.deepEqual(await declared({ ...form, [name]: value }), invalid(message))
    }
    for (const form of [{ ...SINCE, deadline: undefined }, { deadline: false }]) {
      const message = `"after" may be a function of the order only with "deadline: 'attribute'", which stores the result`
      assert.deepEqual(await declared({ ...form, after: () => 1 }), invalid(message))
    }
  })

  it('"history", "dryRun", "individualHooks" and "auto" are true or false', async () => {
    for (const name of ['history', 'dryRun', 'individualHooks', 'auto'])
      assert.deepEqual(await declared({ [name]: 'yes' }), invalid(`"${name}" must be true or false, got "yes"`))
  })

  it('"run" and "afterCommit" are functions', async () => {
    for (const name of ['run', 'afterCommit'])
      assert.deepEqual(await declared({ [name]: 'mail' }), invalid(`"${name}" must be a function, got "mail"`))
  })

  it('"pause" names an attribute of whole numbers that keeps the time left, and may have a condition', async () => {
    assert.deepEqual(await declared({ pause: true }), invalid(`"pause" must be such as { keep: 'confirmLeftMs' }, got true`))
    assert.deepEqual(await declared({ pause: {} }), invalid('"pause.keep" must be the name of an attribute, got null'))
    const unknown = 'orderTimers: rule "order_confirm": "pause": unknown option "until"; the options are keep, while'
    assert.deepEqual(await declared({ pause: { keep: 'leftMs', until: 1 } }), refusal('INVALID_OPTION', 500, unknown))
    const condition = '"pause.while" must be a Sequelize "where", such as { paid: false }, got true'
    assert.deepEqual(await declared({ pause: { keep: 'leftMs', while: true } }), invalid(condition))
    const model = (message: string) => refusal('INVALID_MODEL', 500, `orderTimers: rule "order_confirm": ${message}`)
    const known = 'id, status, dueAt, leftMs, times, note, dispute, createdAt, updatedAt'
    const missing = `"pause.keep" names the attribute "left", which Order does not have; its attributes are ${known}`
    assert.deepEqual(await used({ pause: { keep: 'left' } }), model(missing))
    const text = '"pause.keep" must name an attribute of type BIGINT (or INTEGER), but "note" is STRING'
    assert.deepEqual(await used({ pause: { keep: 'note' } }), model(text))
    const nothing = '"pause.while" must be a condition on a row, such as { isPaid: false }, got {}'
    assert.deepEqual(await used({ pause: { keep: 'leftMs', while: {} } }), model(nothing))
    assert.deepEqual(
      await declared({ pause: { keep: 'leftMs' }, set: { leftMs: 1 } }),
      invalid('"set" must not write "leftMs", which the rule writes itself'),
    )
  })

  it('"maxExtensions" and "maxTotal" exclude each other, and are counted in "extended"', async () => {
    const extended = 'times'
    assert.deepEqual(await declared({ maxExtensions: 0, extended }), invalid('"maxExtensions" must be a whole number from 1, got 0'))
    assert.deepEqual(await declared({ maxTotal: 'long', extended }), noDuration('"maxTotal"', '"long"'))
    assert.deepEqual(
      await declared({ maxExtensions: 1, maxTotal: '1h', extended }),
      invalid('one of "maxExtensions" and "maxTotal" may be given, got both'),
    )
    assert.deepEqual(await declared({ extended }), invalid('"extended" counts for "maxExtensions" or "maxTotal", and neither is given'))
    for (const [name, value] of [
      ['maxExtensions', 1],
      ['maxTotal', '1h'],
    ] as const) {
      const message = `"${name}" is counted on the order's row: name the attribute in "extended", such as 'confirmExtended'`
      assert.deepEqual(await declared({ [name]: value }), invalid(message))
    }
    assert.deepEqual(
      await declared({ maxExtensions: 1, extended, pause: { keep: extended } }),
      invalid('"extended" and "pause.keep" must name two attributes, got "times" for both'),
    )
    const text = 'orderTimers: rule "order_confirm": "extended" must name an attribute of type BIGINT (or INTEGER), but "note" is STRING'
    assert.deepEqual(await used({ maxExtensions: 1, extended: 'note' }), refusal('INVALID_MODEL', 500, text))
  })

  it('"backfill" is true or names an attribute to count from, and needs "after"', async () => {
    assert.deepEqual(
      await declared({ backfill: 'createdAt' }),
      invalid(`"backfill" must be true or { since: 'createdAt' }, got "createdAt"`),
    )
    assert.deepEqual(
      await declared({ backfill: true, after: undefined }),
      invalid('"backfill" needs "after", to compute the deadlines from'),
    )
    assert.deepEqual(await declared({ backfill: { since: 7 } }), invalid('"backfill.since" must be the name of an attribute, got 7'))
    const unknown = 'orderTimers: rule "order_confirm": "backfill": unknown option "from"; the options are since'
    assert.deepEqual(await declared({ backfill: { from: 'createdAt' } }), refusal('INVALID_OPTION', 500, unknown))
    const text =
      'orderTimers: rule "order_confirm": "backfill.since" must name an attribute of type DATE (timestamp with time zone), but "note" is STRING'
    assert.deepEqual(await used({ backfill: { since: 'note' } }), refusal('INVALID_MODEL', 500, text))
  })

  it('"reminders" are a list with different times and a function each, and need the history and a deadline on the row', async () => {
    const of = (...reminders: unknown[]) => declared({ history: true, reminders })
    const list = `"reminders" must be a list such as [{ before: '2h', run }], got an object with the keys before`
    assert.deepEqual(await declared({ history: true, reminders: { before: '2h' } }), invalid(list))
    assert.deepEqual(await of('2h'), invalid(`"reminders[0]" must be such as { before: '2h', run }, got "2h"`))
    assert.deepEqual(await of({ before: '2h', run }, { run }), noDuration('"reminders[1].before"', 'undefined'))
    assert.deepEqual(await of({ before: 'soon', run }), noDuration('"reminders[0].before"', '"soon"'))
    assert.deepEqual(await of({ before: '2h', run, staleAfter: 0 }), noDuration('"reminders[0].staleAfter"', '0'))
    assert.deepEqual(await of({ before: '2h' }), invalid('"reminders[0].run" must be a function, got undefined'))
    assert.deepEqual(await of({ before: '2h', run: 'mail' }), invalid('"reminders[0].run" must be a function, got "mail"'))
    const unknown = 'orderTimers: rule "order_confirm": "reminders[0]": unknown option "after"; the options are before, run, staleAfter'
    assert.deepEqual(await of({ before: '2h', run, after: 1 }), refusal('INVALID_OPTION', 500, unknown))
    const twice = '"reminders" must have different values of "before", got "2h" twice'
    assert.deepEqual(await of({ before: '120m', run }, { before: '2h', run }), invalid(twice))
    const reminders = [{ before: '2h', run }]
    const history = '"reminders" need "history: true", since its rows make sure that no reminder is sent twice'
    assert.deepEqual(await declared({ reminders }), invalid(history))
    const form = '"reminders" need a deadline on the row; give "deadline" or "since"'
    assert.deepEqual(await declared({ deadline: false, history: true, reminders }), invalid(form))
  })

  it('"verify" has a function that asks, counts, a time limit, a history and a deadline on the row', async () => {
    const ask = () => []
    const verifying = (verify: unknown, more: object = {}) => declared({ history: true, verify, ...more })
    const shape = '"verify" must be such as { ask: async (orders) => […], batch: 20, perSecond: 10 }, got 20'
    assert.deepEqual(await verifying(20), invalid(shape))
    assert.deepEqual(await verifying({}), invalid('"verify.ask" must be a function that asks the payment service, got undefined'))
    assert.deepEqual(await verifying({ ask: 1 }), invalid('"verify.ask" must be a function, got 1'))
    for (const name of ['batch', 'concurrency', 'perSecond'])
      assert.deepEqual(await verifying({ ask, [name]: 0 }), invalid(`"verify.${name}" must be a whole number from 1, got 0`))
    assert.deepEqual(await verifying({ ask, timeout: '10ms' }), noDuration('"verify.timeout"', '"10ms"', '100ms at least and 1d'))
    const history = '"verify" needs "history: true", since each answer that an order was settled by is kept there'
    assert.deepEqual(await declared({ verify: { ask } }), invalid(history))
    const row = '"verify" needs a deadline on the row; give "deadline" or "since"'
    assert.deepEqual(await verifying({ ask }, { deadline: false }), invalid(row))
    const unknown =
      'orderTimers: rule "order_confirm": "verify": unknown option "asks"; the options are ask, batch, concurrency, perSecond, timeout'
    assert.deepEqual(await verifying({ asks: ask }), refusal('INVALID_OPTION', 500, unknown))
  })

  it('"brake" has a number of orders and a period', async () => {
    assert.deepEqual(await declared({ brake: 100 }), invalid(`"brake" must be such as { max: 1000, per: '1h' }, got 100`))
    assert.deepEqual(await declared({ brake: { per: '1h' } }), invalid('"brake.max" must be a whole number from 1, got undefined'))
    assert.deepEqual(await declared({ brake: { max: 1.5, per: '1h' } }), invalid('"brake.max" must be a whole number from 1, got 1.5'))
    assert.deepEqual(await declared({ brake: { max: 1 } }), noDuration('"brake.per"', 'undefined', '1s at least and ten years'))
    const unknown = 'orderTimers: rule "order_confirm": "brake": unknown option "min"; the options are max, per'
    assert.deepEqual(await declared({ brake: { max: 1, per: '1h', min: 1 } }), refusal('INVALID_OPTION', 500, unknown))
  })

  it('are accepted where nothing is wrong', () => {
    const all = {
      ...{
        history: true,
        dryRun: false,
        individualHooks: true,
        pause: { keep: 'leftMs', while: { dispute: true } },
        backfill: { since: 'createdAt' },
      },
      ...{ maxExtensions: 2, extended: 'times', brake: { max: 1, per: '1h' }, after: () => null, afterCommit: run },
      reminders: [
        { before: '2h', run },
        { before: '1h', run, staleAfter: '5m' },
      ],
    }
    timersWith({ ...PLAIN, ...all })
    timersWith({ ...SINCE, history: true, reminders: [{ before: '2h', run }] })
  })
})
