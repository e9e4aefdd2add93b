import assert from 'node:assert/strict'
import { hostname, userInfo } from 'node:os'
import { transition } from '../../../lib/index.js'
import { type ActingShop, createActionsTable, openActingShop } from '../../admin/actions/acting.js'
import { openProject, type Project, timersModule } from '../../support/command-line.js'
import { waitUntil } from '../../support/waiting.js'

const DAY_MS = 86_400_000
const CONFIRM = "order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' })"

// The program as a process of its own, beside the shop's own timers on the same orders and the same Redis.
describe('actions on the command line', function () {
  this.timeout(60_000)
  let shop: ActingShop<never>
  let project: Project

  const open = async (options: { recorded?: boolean } = {}) => {
    project = await openProject()
    const run = () => {
      throw new Error('no stock')
    }
    shop = (await openActingShop(
      ({ Order }) => ({ order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', attempts: 1, run }) }),
      options,
    )) as unknown as ActingShop<never>
    const where = `redis: '${shop.redis.url}', prefix: '${shop.redis.prefix}'`
    await project.write('timers.mjs', timersModule(shop.database, CONFIRM, where))
  }
  afterEach(() => Promise.all([shop.close(), project.close()]))

  const shipped = (ago: number) => shop.order({ status: 4, confirmDueAt: new Date(Date.now() - ago) })
  const buried = async () => {
    const id = await shipped(60_000)
    const worker = await shop.worker({ fallback: false })
    await waitUntil(async () => (await shop.timers.dead()).length === 1)
    await worker.stop()
    return String(id)
  }

  it('settle makes orders due, reports the outcome of each, and records who did it and why', async () => {
    await open()
    const id = await shipped(-DAY_MS)
    const { status, stdout } = await project.orderTimers('settle', 'order_confirm', String(id), '99', '--reason', 'by phone')
    assert.equal(status, 1)
    const [done = '', refused] = stdout.trimEnd().split('\n')
    assert.match(
      done,
      /^order_confirm 1: due now, was due 20.*Z; (a worker settles it at once|Redis does not have it, so the next sweep settles it)$/,
    )
    assert.equal(refused, 'order_confirm 99: there is no Order "99"')
    assert.ok(((await shop.deadlineOf(id)) as number) <= Date.now())
    const [entry] = await shop.recorded()
    const { actor, via, reason, action, count } = entry ?? {}
    assert.deepEqual([actor, via, reason, action, count], [`${userInfo().username}@${hostname()}`, 'command', 'by phone', 'settle', 1])
    const json = JSON.parse((await project.orderTimers('settle', 'order_confirm', String(id), '--json')).stdout)
    assert.deepEqual([json.count, json.orders[0].outcome], [1, 'done'])
  })

  it('discard drops what it names, and all with --yes alone', async () => {
    await open()
    const id = await buried()
    const shown = await project.orderTimers('discard', 'order_confirm')
    assert.equal(shown.status, 1)
    assert.match(shown.stdout, /^order_confirm: would drop\nrule .*\norder_confirm .*no stock\n$/)
    assert.match(shown.stderr, /^nothing was dropped; add --yes to drop all 1,/)
    assert.equal((await shop.timers.dead()).length, 1)
    const dropped = await project.orderTimers('discard', 'order_confirm', '--yes')
    assert.deepEqual(dropped, { status: 0, stdout: 'order_confirm: 1 dead letter dropped\n', stderr: '' })
    assert.deepEqual([await shop.timers.dead(), await shop.deadlineOf(id)], [[], null])
    const again = await project.orderTimers('discard', 'order_confirm', id, '--json')
    const why = 'it is no dead letter; `order-timers dead` lists those that are'
    assert.deepEqual([again.status, JSON.parse(again.stdout)], [1, { kind: 'order_confirm', discarded: [], kept: [{ id, why }] }])
  })

  it('without the table of actions new actions are refused, and retry is carried out with a remark', async () => {
    await open({ recorded: false })
    const id = await buried()
    const discard = await project.orderTimers('discard', 'order_confirm', id)
    assert.deepEqual([discard.status, discard.stdout, (await shop.timers.dead()).length], [1, '', 1])
    assert.match(
      discard.stderr,
      /^orderTimers: actions are recorded in "order_timers_actions", and that table does not exist; .*\(ERR_ORDER_TIMERS_NOT_RECORDED\)\n$/,
    )
    const retry = await project.orderTimers('retry', 'order_confirm', id)
    assert.deepEqual([retry.status, retry.stdout], [0, 'order_confirm: 1 order is due now, with all attempts\n'])
    assert.match(retry.stderr, /^not recorded: actions are recorded in "order_timers_actions", and that table does not exist; create it/)
    assert.deepEqual(await shop.timers.dead(), [])
  })

  it('sweep --stale is recorded for each rule, and prune removes what is old enough', async () => {
    await open()
    await shipped(8 * DAY_MS)
    const swept = await project.orderTimers('sweep', '--stale', '--yes', '--reason', 'checked by hand')
    assert.equal(swept.status, 0, swept.stderr)
    const [entry] = await shop.recorded()
    assert.deepEqual(
      [entry?.action, entry?.kind, entry?.count, entry?.state, entry?.reason],
      ['sweep --stale', 'order_confirm', 1, 'done', 'checked by hand'],
    )
    await shop.database.client.query("UPDATE order_timers_actions SET at = at - interval '3 days'")
    const pruned = await project.orderTimers('prune', '--older-than', '2d', '--json')
    assert.deepEqual([pruned.status, JSON.parse(pruned.stdout)], [0, { history: 0, actions: 2 }])
    assert.deepEqual(
      (await shop.recorded()).map(({ action, count }) => [action, count]),
      [['prune', 2]],
    )
    for (const args of [['prune'], ['prune', '--older-than', '1h'], ['prune', '--older-than', 'old'], ['settle', 'order_confirm']])
      assert.equal((await project.orderTimers(...args)).status, 2, args.join(' '))
    await createActionsTable(shop.database) // is harmless where it exists
  })
})
