import assert from 'node:assert/strict'
import { DataTypes, Model, Sequelize } from 'sequelize'
import { OrderTimersError, orderTimers, startExpiryWorker, transition } from '../../lib/index.js'
import { openShop } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'
import { waitUntil } from '../support/waiting.js'

describe('Each duration option has its own bounds, which the error names:', () => {
  class Order extends Model {}
  const columns = { status: DataTypes.INTEGER, dueAt: DataTypes.DATE, extended: DataTypes.BIGINT }
  Order.init(columns, { sequelize: new Sequelize({ dialect: 'postgres' }) })

  const rule = (options: object) => () =>
    orderTimers({
      redis: false,
      rules: { order_confirm: transition(Order, { from: 4, to: 5, deadline: 'dueAt' as never, after: '24h', history: true, ...options }) },
    })
  const worker = (options: object) => () => {
    const timers = orderTimers({ redis: false, enabled: false, rules: { order_other: async () => {} } })
    void startExpiryWorker(timers, { fallback: false, ...options }).stop()
  }
  const run = () => {}

  /** By option: how it is given, the shortest and the longest that are taken, and one beyond each. */
  const DURATIONS: Record<string, [give: (value: never) => () => unknown, taken: unknown[], refused: unknown[], bounds: string]> = {
    after: [(after) => rule({ after }), [1, '3650d'], [0, '3651d'], 'of ten years at most'],
    timeout: [(timeout) => rule({ timeout }), [100, '1d'], [99, '25d', 86_400_001, 2 ** 31], 'of 100ms at least and 1d at most'],
    staleAfter: [(staleAfter) => rule({ staleAfter }), ['1s', '3650d'], [999, '3651d'], 'of 1s at least and ten years at most'],
    maxTotal: [(maxTotal) => rule({ maxTotal, extended: 'extended' }), [1, '3650d'], [0, '3651d'], 'of ten years at most'],
    'brake.per': [(per) => rule({ brake: { max: 1, per } }), ['1s', '3650d'], [999, '3651d'], 'of 1s at least and ten years at most'],
    'reminders[0].before': [(before) => rule({ reminders: [{ before, run }] }), [1, '3650d'], [0, '3651d'], 'of ten years at most'],
    'reminders[0].staleAfter': [
      (staleAfter) => rule({ reminders: [{ before: '2h', run, staleAfter }] }),
      [1, '3650d'],
      [0, '3651d'],
      'of ten years at most',
    ],
    lease: [(lease) => worker({ lease }), ['1s', '1h'], [999, '2h', '25d', 2 ** 31], 'of 1s at least and 1h at most'],
  }

  for (const [name, [give, taken, refused, bounds]] of Object.entries(DURATIONS)) {
    it(name, () => {
      for (const value of taken) give(value as never)()
      for (const value of refused)
        assert.throws(give(value as never), (error) => {
          assert.ok(error instanceof OrderTimersError, String(error))
          assert.equal(error.code, 'ERR_ORDER_TIMERS_INVALID_DURATION')
          assert.ok(error.message.includes(`"${name}" must be a duration`) && error.message.includes(bounds), error.message)
          return true
        })
    })
  }

  it('the longest accepted timeout and lease settle orders and overflow no timer', async () => {
    const overflows: string[] = []
    const listen = (warning: Error) => void (warning.name === 'TimeoutOverflowWarning' && overflows.push(warning.message))
    process.on('warning', listen)
    const shop = await openShop((database) => ({
      ...oneOfEach(database),
      order_confirm: transition(database.Order, {
        ...{ from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', timeout: '1d', staleAfter: '3650d' },
        run: () => {},
      }),
    }))
    try {
      const id = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - 1_000) })
      await shop.worker({ lease: '1h' })
      await waitUntil(async () => (await shop.statusOf(id)) === 5)
      assert.deepEqual(overflows, [])
    } finally {
      process.off('warning', listen)
      await shop.close()
    }
  })
})
