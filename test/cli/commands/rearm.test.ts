import assert from 'node:assert/strict'
import { rearmAct } from '../../../lib/admin/actions/rearm.js'
import { transition } from '../../../lib/index.js'
import { type ActingShop, openActingShop, SUPPORT } from '../../admin/actions/acting.js'
import { openProject, type Project, timersModule } from '../../support/command-line.js'
import { refused } from '../../support/refused.js'

const HOUR_MS = 3_600_000
const CONFIRM = "order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' })"

describe('order-timers rearm', function () {
  this.timeout(60_000)
  let shop: ActingShop<never>
  let project: Project

  const open = async (options: { recorded?: boolean } = {}) => {
    project = await openProject()
    shop = (await openActingShop(
      ({ Order }) => ({
        order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
        order_pay: transition(Order, { from: 1, to: 0, after: '15m', deadline: false }),
      }),
      options,
    )) as unknown as ActingShop<never>
    await project.write('timers.mjs', timersModule(shop.database, CONFIRM, `redis: '${shop.redis.url}', prefix: '${shop.redis.prefix}'`))
  }
  afterEach(() => Promise.all([shop.close(), project.close()]))

  const shipped = (at: number) => shop.order({ status: 4, confirmDueAt: new Date(at) })
  const due = () => shop.runtime.keys.sets('order_confirm').due

  it('arms what is missing in Redis or later there, and says how many; what is overdue or armed right is left', async () => {
    await open()
    const at = Date.now() + 2 * HOUR_MS
    const [missing, late, right, overdue] = [await shipped(at), await shipped(at), await shipped(at), await shipped(Date.now() - 1_000)]
    const { client } = shop.redis
    await client.zadd(due(), at + 5_000, String(late), at, String(right))
    const { status, stdout, stderr } = await project.orderTimers('rearm', '--reason', 'emptied by mistake')
    assert.deepEqual([status, stderr], [0, ''])
    assert.match(stdout, /^rule +to come +armed now\norder_confirm +3 +2\n$/)
    const scores = await client.zmscore(due(), String(missing), String(late), String(right), String(overdue))
    assert.deepEqual(scores, [String(at), String(at), String(at), null])
    const left = await client.pttl(shop.runtime.keys.timer('order_confirm', String(missing)))
    assert.ok(left > HOUR_MS && left <= 2 * HOUR_MS)
    const [entry] = await shop.recorded()
    assert.deepEqual([entry?.action, entry?.state, entry?.count, entry?.reason], ['rearm', 'done', 2, 'emptied by mistake'])
    const again = await project.orderTimers('rearm', 'order_confirm', '--json')
    assert.deepEqual(JSON.parse(again.stdout), { rules: [{ kind: 'order_confirm', read: 3, armed: 0 }] })
  })

  it('with --within arms only what comes due by then', async () => {
    await open()
    const [soon, later] = [await shipped(Date.now() + HOUR_MS), await shipped(Date.now() + 5 * HOUR_MS)]
    const { rules } = await rearmAct(shop.runtime, { kind: 'order_confirm', withinMs: 2 * HOUR_MS }, SUPPORT)
    assert.deepEqual(rules, [{ kind: 'order_confirm', read: 1, armed: 1 }])
    const scores = await shop.redis.client.zmscore(due(), String(soon), String(later))
    assert.deepEqual(
      scores.map((score) => score !== null),
      [true, false],
    )
  })

  it('without the table of actions is carried out with a remark, and refuses a rule whose deadlines no row has', async () => {
    await open({ recorded: false })
    await shipped(Date.now() + HOUR_MS)
    const { status, stdout, stderr } = await project.orderTimers('rearm')
    assert.deepEqual([status, /order_confirm +1 +1\n$/.test(stdout)], [0, true])
    assert.match(stderr, /^not recorded: actions are recorded in "order_timers_actions", and that table does not exist/)
    const { code } = await refused(() => rearmAct(shop.runtime, { kind: 'order_pay' }))
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_ACTION')
  })
})
