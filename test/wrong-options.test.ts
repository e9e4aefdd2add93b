// Every call of the public face that takes options: what is no option of it, and every option with a value of another type, is refused with a
// coded error that names it. Which options there are each call says itself. A wrong value that is silently taken for false would change orders.

import assert from 'node:assert/strict'
import { orderTimersAdmin } from '../lib/admin-page/index.js'
import { calendar } from '../lib/calendar.js'
import { parseOptions } from '../lib/cli/arguments.js'
import { COMMANDS } from '../lib/cli/commands.js'
import { UsageError } from '../lib/cli/usage-error.js'
import { countdown } from '../lib/countdown/index.js'
import { orderTimersHealth } from '../lib/health.js'
import { effect, orderTimers, startExpiryWorker, transition } from '../lib/index.js'
import { orderTimersMetrics } from '../lib/metrics.js'
import { HOLDS_TABLE, Holds } from '../lib/rows/holds.js'
import { assertNotScheduled, assertScheduled, expire } from '../lib/testing.js'
import { refused } from './support/refused.js'
import { openShop, type Shop } from './support/shop.js'
import { type OneOfEach, oneOfEach } from './support/shop-rules.js'

/** A call, with what it needs besides the option that is tried. */
interface Tried {
  call: (options: never) => unknown
  needs?: object
  /** Values that are none of a type of their own, by option. */
  fits?: Record<string, readonly unknown[]>
}

const CODES = /^ERR_ORDER_TIMERS_INVALID_(OPTION|DURATION|DEADLINE|WHERE)$/

/** None of them is of any option's type, but for what fits. */
const WRONG: readonly unknown[] = [{ not: 'right' }, 'not right', 1, Number.NaN, null, []]

const TEXT = ['not right']
const MILLISECONDS = [1]

describe('wrong options', () => {
  let shop: Shop<OneOfEach>
  let worker: Awaited<ReturnType<Shop<OneOfEach>['worker']>>

  beforeEach(async () => {
    shop = await openShop(oneOfEach)
    for (const sql of Holds.createSql(HOLDS_TABLE)) await shop.database.client.query(sql)
    worker = await shop.worker({ fallback: false })
  })

  afterEach(() => shop.close())

  function calls(): Record<string, Tried> {
    const { timers, database } = shop
    const { Order } = database
    // biome-ignore lint/suspicious/noExplicitAny: called as from JavaScript
    const of = timers as any
    const rule = (made: unknown) => orderTimers({ redis: false, logger: false, rules: { order_confirm: made } } as never)
    const common = { after: [...MILLISECONDS], history: [], where: [{ not: 'right' }, []], description: TEXT, attempts: [1] }
    const row = { ...common, deadline: TEXT, staleAfter: [], timeout: [], extended: TEXT, backfill: [], maxExtensions: [1], status: TEXT }
    const writes = { transaction: [null] }
    const bulk = { where: [], reason: TEXT }
    const run = { by: '1d', all: true }
    return {
      'timers.schedule': { call: (o) => of.schedule('order_confirm', 1, o), fits: { ...writes, after: MILLISECONDS, at: [1] } },
      'timers.extend': { call: (o) => of.extend('order_confirm', 1, '1h', o), fits: writes },
      'timers.cancel': { call: (o) => of.cancel('order_confirm', 1, o), fits: writes },
      'timers.pause': { call: (o) => of.pause('order_confirm', 1, o), fits: writes },
      'timers.resume': { call: (o) => of.resume('order_confirm', 1, o), fits: writes },
      'timers.remaining': { call: (o) => of.remaining('order_confirm', 1, o), fits: writes },
      'timers.remaining of many': { call: (o) => of.remaining('order_confirm', [1], o), fits: writes },
      'timers.remaining of none': { call: (o) => of.remaining('order_confirm', [], o), fits: writes },
      'timers.remaining of many in Redis': { call: (o) => of.remaining('order_other', ['1'], o), fits: writes },
      'timers.list': { call: (o) => of.list(1, o), fits: writes },
      'timers.list of many': { call: (o) => of.list([1], o), fits: writes },
      'timers.hold': {
        call: (o) => of.hold('order_confirm', o),
        needs: { reason: 'why' },
        fits: { reason: TEXT, by: TEXT, until: MILLISECONDS, grace: MILLISECONDS },
      },
      'timers.release': { call: (o) => of.release('order_confirm', o), fits: { grace: MILLISECONDS } },
      'timers.extendAll': { call: (o) => of.extendAll('order_confirm', o), needs: run, fits: { ...bulk, by: MILLISECONDS } },
      'timers.scheduleAll': {
        call: (o) => of.scheduleAll('order_confirm', o),
        needs: { all: true },
        fits: { ...bulk, after: MILLISECONDS, at: [] },
      },
      'timers.cancelAll': { call: (o) => of.cancelAll('order_confirm', o), needs: { all: true }, fits: bulk },
      'timers.resumeRun': { call: (o) => of.resumeRun('order_confirm', o) },
      orderTimers: {
        call: (o) => orderTimers(o),
        needs: { redis: false, rules: { order_other: () => {} } },
        fits: { redis: [{ not: 'right' }, 'not right', 1], rules: [{ not: 'right' }] },
      },
      transition: {
        call: (o) => rule(transition(Order, o)),
        needs: { from: 4, to: 5, deadline: 'confirmDueAt', after: '1h', history: true },
        fits: { ...row, from: [1, 'not right'], to: [1, 'not right'], set: [{ not: 'right' }, []], since: WRONG, reminders: [[]] },
      },
      effect: {
        call: (o) => rule(effect(Order, o)),
        needs: { where: { status: 4 }, run: () => {}, deadline: 'confirmDueAt', after: '1h', history: true },
        fits: { ...row, where: [{ not: 'right' }], since: WRONG, reminders: [[]] },
      },
      startExpiryWorker: {
        call: (o) => startExpiryWorker(timers, o),
        fits: { concurrency: [1], catchUp: [1] },
      },
      'startExpiryWorker: fallback': {
        call: (fallback) => startExpiryWorker(timers, { fallback }),
        needs: { cron: '* * * * *' },
      },
      orderTimersAdmin: { call: (o) => orderTimersAdmin(timers, o), needs: { authorize: () => false }, fits: { origins: [[]] } },
      countdown: { call: (o) => countdown(timers, o), needs: { authorize: () => false } },
      orderTimersHealth: { call: (o) => orderTimersHealth(timers, o) },
      orderTimersMetrics: { call: (o) => orderTimersMetrics(timers, o) },
      calendar: { call: (o) => calendar(o), needs: { timeZone: 'Asia/Taipei' }, fits: { holidays: [[]], extraWorkdays: [[]] } },
      expire: { call: (o) => expire(worker, 'order_confirm' as never, 1, o), fits: { within: MILLISECONDS } },
      assertScheduled: {
        call: (o) => assertScheduled(timers, 'order_confirm', 1, o),
        fits: { ...writes, after: MILLISECONDS, within: MILLISECONDS },
      },
      assertNotScheduled: { call: (o) => assertNotScheduled(timers, 'order_confirm', 1, o), fits: writes },
    }
  }

  it('are refused by every call, by name and with the value', async () => {
    const taken: string[] = []
    for (const [name, { call, needs = {}, fits = {} }] of Object.entries(calls())) {
      const { code, message } = await refused(() => call({ ...needs, nonsense: 1 } as never))
      assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_OPTION', `${name}: ${message}`)
      const [, options = ''] = /unknown option "nonsense"; the options are (.*)$/.exec(message) ?? []
      assert.notEqual(options, '', `${name} says which options there are: ${message}`)
      for (const option of options.split(', ')) {
        for (const value of WRONG) {
          if ((fits[option] ?? []).some((fit) => JSON.stringify(fit) === JSON.stringify(value) && typeof fit === typeof value)) continue
          const told = await toldOf(() => call({ ...needs, [option]: value } as never))
          if (!told || !CODES.test(told.code) || !told.message.includes(option)) {
            taken.push(`${name}: ${option}: ${JSON.stringify(value) ?? String(value)}: ${told ? `${told.code} ${told.message}` : 'taken'}`)
          }
        }
      }
    }
    assert.deepEqual(taken, [])
    assert.deepEqual((await shop.database.client.query(`SELECT * FROM ${HOLDS_TABLE}`)).rows, [], 'and nothing is done')
  })

  it('are refused by every call where they are no object', async () => {
    for (const [name, { call }] of Object.entries(calls())) {
      for (const options of ['yes', 5, true, []]) {
        const { code, message } = await refused(() => call(options as never))
        assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_OPTION', `${name}: ${JSON.stringify(options)}: ${message}`)
      }
    }
  })

  it('are refused by every command: unknown names, a value for a switch, and none for what needs one', () => {
    for (const [name, command] of Object.entries(COMMANDS)) {
      const parse = (...args: string[]) => parseOptions(command, [...command.positionals, ...args])
      const refuses = (arg: string) => assert.throws(() => parse(arg), UsageError, `order-timers ${name} ${arg}`)
      refuses('--nonsense')
      for (const [option, { type }] of Object.entries(command.options)) refuses(type === 'boolean' ? `--${option}=yes` : `--${option}`)
    }
  })
})

/** What a call was refused with; undefined where it was not, or by something else. */
async function toldOf(call: () => unknown): Promise<{ code: string; message: string } | undefined> {
  try {
    await call()
    return undefined
  } catch (error) {
    const { code = String(error), message } = error as { code?: string; message: string }
    return { code, message }
  }
}
