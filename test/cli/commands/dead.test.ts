import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { transition } from '../../../lib/index.js'
import { createActionsTable } from '../../admin/actions/acting.js'
import { openProject, type Project, timersModule } from '../../support/command-line.js'
import { freePort } from '../../support/free-port.js'
import { runtimeOf } from '../../support/runtime.js'
import { openShop, type Shop } from '../../support/shop.js'
import { waitForEvent, waitUntil } from '../../support/waiting.js'

const DAY_MS = 86_400_000

// The program as a process of its own, beside the shop's own timers on the same orders and the same Redis.
describe('dead letters on the command line', function () {
  this.timeout(60_000)
  let shop: Shop<never>
  let project: Project
  let outOfStock = true

  beforeEach(async () => {
    outOfStock = true
    const run = () => {
      if (outOfStock) throw new Error('no stock\nat all')
    }
    project = await openProject()
    shop = (await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', attempts: 1, run }),
    }))) as unknown as Shop<never>
    await createActionsTable(shop.database)
    await program()
  })

  afterEach(() => Promise.all([shop.close(), project.close()]))

  const program = (options = `redis: '${shop.redis.url}', prefix: '${shop.redis.prefix}'`) =>
    project.write(
      'timers.mjs',
      timersModule(shop.database, "order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' })", options),
    )

  /** Orders on which the rule has failed for the last time. */
  const buried = async (count: number) => {
    const orders = Array.from({ length: count }, () => ({ status: 4, confirmDueAt: new Date(Date.now() - 60_000) }))
    await shop.database.Order.bulkCreate(orders)
    const worker = await shop.worker()
    await waitUntil(() => worker.deadTold.length === count)
    await waitUntil(async () => (await shop.timers.dead()).length === count)
    return worker
  }

  it('are listed, with the error on one line, and put back by their ids', async () => {
    const worker = await buried(3)
    const { status, stdout, stderr } = await project.orderTimers('dead')
    assert.deepEqual([status, stderr], [0, ''])
    const [header = '', ...rows] = stdout.trimEnd().split('\n')
    assert.deepEqual(header.split(/ {2,}/), ['rule', 'order', 'attempts', 'last failed', 'error'])
    assert.equal(rows.length, 3)
    for (const row of rows) assert.match(row, /^order_confirm +\d +1 +20\d\d-[-\dT:.]+Z +no stock at all$/)
    const { dead } = JSON.parse((await project.orderTimers('dead', 'order_confirm', '--json')).stdout)
    assert.deepEqual(dead.map(({ id }: { id: string }) => id).sort(), ['1', '2', '3'])

    outOfStock = false
    const settled = waitForEvent(worker, 'settled', { within: 20_000 }) // at once, since the worker is woken: its sweep comes once a minute
    const retried = await project.orderTimers('retry', 'order_confirm', '2')
    assert.deepEqual(retried, { status: 0, stdout: 'order_confirm: 1 order is due now, with all attempts\n', stderr: '' })
    await settled
    assert.deepEqual([await shop.statusOf(1), await shop.statusOf(2), await shop.statusOf(3)], [4, 5, 4])
  })

  it('are all put back, once --yes is given', async () => {
    await (await buried(2)).stop()
    const shown = await project.orderTimers('retry', 'order_confirm')
    assert.equal(shown.status, 1)
    assert.match(shown.stdout, /^order_confirm: would put back\nrule .*\norder_confirm .*no stock at all\n/)
    assert.equal(
      shown.stderr,
      'nothing was put back; add --yes to put all 2 back, or name the orders: order-timers retry order_confirm ID…\n',
    )
    const json = await project.orderTimers('retry', 'order_confirm', '--json')
    assert.deepEqual(JSON.parse(json.stdout).wouldRetry.sort(), ['1', '2'])
    assert.equal((await shop.timers.dead()).length, 2)

    const retried = await project.orderTimers('retry', 'order_confirm', '--yes', '--json')
    assert.equal(retried.status, 0)
    const { kind, retried: ids, notDead } = JSON.parse(retried.stdout)
    assert.deepEqual([kind, ids.sort(), notDead], ['order_confirm', ['1', '2'], []])
    assert.deepEqual(await shop.timers.dead(), [])
    const again = await project.orderTimers('retry', 'order_confirm')
    assert.deepEqual(again, { status: 0, stdout: 'order_confirm: there are no dead letters\n', stderr: '' })
  })

  it('say which ids are no dead letters, and put back the others', async () => {
    await (await buried(1)).stop()
    const { failures } = runtimeOf(shop.timers).keys.sets('order_confirm')
    await shop.redis.client.hset(failures, '7', JSON.stringify({ attempts: 3, error: 'x', at: new Date().toISOString(), dead: false }))
    const { status, stdout } = await project.orderTimers('retry', 'order_confirm', '1', '7', '8', '8')
    assert.equal(status, 1)
    assert.deepEqual(stdout.trimEnd().split('\n'), [
      'order_confirm: 1 order is due now, with all attempts',
      'order_confirm 7: it is no dead letter: it failed 3 times, and is tried again automatically',
      'order_confirm 8: it is no dead letter; `order-timers dead` lists those that are',
    ])
  })

  it('end with 2 for an unknown id or rule, and with 3 if Redis does not answer or is not used', async () => {
    const typed = async (...args: string[]) => {
      const { status, stdout, stderr } = await project.orderTimers(...args)
      assert.equal(stdout, '')
      return [status, stderr.split('(ERR_').map((part) => part.replace(/\)\n$/, ''))[1]]
    }
    assert.deepEqual(await typed('retry', 'order_confirm', '34x'), [2, 'ORDER_TIMERS_INVALID_ID'])
    assert.deepEqual(await typed('retry', 'order_cofirm', '34'), [2, 'ORDER_TIMERS_UNKNOWN_KIND'])
    assert.deepEqual(await typed('dead', randomBytes(3).toString('hex')), [2, 'ORDER_TIMERS_UNKNOWN_KIND'])
    await program(`redis: 'redis://127.0.0.1:${await freePort()}'`)
    assert.deepEqual(await typed('dead'), [3, 'ORDER_TIMERS_REDIS_UNAVAILABLE'])
    await program('redis: false')
    assert.deepEqual(await typed('retry', 'order_confirm', '--yes'), [3, 'ORDER_TIMERS_REDIS_UNAVAILABLE'])
  })
})

describe('what is stale', function () {
  this.timeout(60_000)

  it('is shown by sweep --stale, by rule with the oldest, and settled only with --yes', async () => {
    const [shop, project] = await Promise.all([openShop(() => ({ order_other: async () => {} })), openProject()])
    const rules = `order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
      order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' })`
    await project.write('timers.mjs', timersModule(shop.database, rules))
    const at = (ms: number) => ({ status: 4, confirmDueAt: new Date(Date.now() - ms) })
    await shop.database.Order.bulkCreate([at(60_000), at(8 * DAY_MS), at(9 * DAY_MS), { status: 1, createdAt: new Date(0) }])
    const statuses = async () => (await shop.database.Order.findAll({ order: ['id'] })).map(({ status }) => status)
    const oldest = (await shop.database.Order.findByPk(3, { rejectOnEmpty: true })).confirmDueAt?.toISOString() as string

    const shown = await project.orderTimers('sweep', '--stale')
    assert.deepEqual([shown.status, shown.stderr], [1, 'nothing was settled; add --yes to settle what is shown\n'])
    assert.match(shown.stdout, new RegExp(`^order_confirm +2 +1 +${oldest}$`, 'm'))
    assert.match(shown.stdout, /^order_pay +1 +0 +1970-01-01T00:15:00\.000Z$/m)
    assert.match(shown.stdout, new RegExp(`^order_confirm: stale, the first: 3 \\(${oldest}\\), 2 \\(`, 'm'))
    assert.deepEqual(await statuses(), [4, 4, 4, 1])

    const json = await project.orderTimers('sweep', '--stale', '--kind', 'order_confirm', '--json')
    const { settles, rules: found } = JSON.parse(json.stdout)
    assert.deepEqual([json.status, settles, found.length, found[0].stale, found[0].overdue, found[0].oldest], [1, false, 1, 2, 1, oldest])
    assert.deepEqual(await statuses(), [4, 4, 4, 1])

    const settled = await project.orderTimers('sweep', '--stale', '--kind', 'order_confirm', '--yes', '--json')
    assert.deepEqual([settled.status, JSON.parse(settled.stdout).kinds.order_confirm.settled], [0, 3])
    assert.deepEqual(await statuses(), [5, 5, 5, 1])
    const nothing = await project.orderTimers('sweep', '--stale', '--kind', 'order_confirm')
    assert.deepEqual([nothing.status, nothing.stderr], [0, ''])
    await Promise.all([shop.close(), project.close()])
  })
})
