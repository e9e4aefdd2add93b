import assert from 'node:assert/strict'
import { hostname, userInfo } from 'node:os'
import { type BulkShop, confirmRule, openBulkShop } from '../../support/bulk-shop.js'
import { openProject, type Project, timersModule } from '../../support/command-line.js'

const DAY_MS = 86_400_000
const CONFIRM = "order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' })"

// The program as a process of its own, beside the shop's own timers on the same orders.
describe('many orders on the command line', function () {
  this.timeout(60_000)
  let shop: BulkShop<ReturnType<typeof confirmRule>>
  let project: Project

  beforeEach(async () => {
    project = await openProject()
    shop = await openBulkShop(confirmRule)
    await project.write('timers.mjs', timersModule(shop.database, CONFIRM, `redis: '${shop.redis.url}', prefix: '${shop.redis.prefix}'`))
  })

  afterEach(() => Promise.all([shop.close(), project.close()]))

  it('extend shows the plan, and moves the orders with --yes', async () => {
    await shop.shipped(6, 'TW')
    await shop.shipped(2, 'JP')
    await shop.shipped(1, 'KR')
    const before = await shop.deadlines()
    const which = ['extend', 'order_confirm', '--where', 'note=TW', '--where', 'note=JP', '--by', '3d']
    const shown = await project.orderTimers(...which)
    assert.equal(shown.status, 1)
    const [head, ...lines] = shown.stdout.trimEnd().split('\n')
    assert.equal(head, 'order_confirm: would extend 8 orders')
    assert.match(lines[1] ?? '', /^1 +20\S+Z +20\S+Z$/)
    assert.deepEqual(lines.slice(6), [
      'and 3 more',
      'Postgres writes about a megabyte or less to its log, and VACUUM has 8 row versions to remove',
    ])
    assert.equal(shown.stderr, 'nothing was changed; add --yes to extend them\n')
    assert.deepEqual(await shop.deadlines(), before)
    assert.equal((await project.orderTimers(...which, '--dry-run')).status, 0)
    const done = await project.orderTimers(...which, '--yes', '--reason', 'typhoon')
    assert.deepEqual(done, { status: 0, stdout: 'order_confirm: 8 orders moved, by run 1\n', stderr: '' })
    assert.deepEqual(
      [...(await shop.deadlines())],
      [...before].map(([id, at]) => [id, (at as number) + (id < 9 ? 3 * DAY_MS : 0)]),
    )
    const { rows } = await shop.database.client.query('SELECT action, actor, via, reason FROM order_timers_actions WHERE ends IS NULL')
    assert.deepEqual(rows, [{ action: 'extendAll', actor: `${userInfo().username}@${hostname()}`, via: 'command', reason: 'typhoon' }])
  })

  it('extend and cancel also accept named orders', async () => {
    await shop.shipped(2)
    const before = await shop.deadlines()
    const due = (ms: number) => new Date(ms).toISOString()
    const [first = 0] = [...before.values()] as number[]
    const extended = await project.orderTimers('extend', 'order_confirm', '1', '--by', '1d')
    assert.equal(extended.stdout, `order_confirm 1: due ${due(first + DAY_MS)}, was due ${due(first)}\n`)
    const cancelled = await project.orderTimers('cancel', 'order_confirm', '1')
    assert.equal(cancelled.stdout, `order_confirm 1: has no timer any more, was due ${due(first + DAY_MS)}\n`)
    const both = await project.orderTimers('cancel', 'order_confirm', '1', '--all')
    assert.deepEqual([both.status, both.stdout], [2, ''])
    assert.match(both.stderr, /--all is for many orders \(cancelAll\); name orders or give that, not both/)
  })

  it('schedule fills what is missing, and refuses wrong options', async () => {
    await shop.shipped(2)
    await shop.database.client.query('UPDATE orders SET "confirmDueAt" = NULL WHERE id = 2')
    assert.match(
      (await project.orderTimers('schedule', 'order_confirm', '--all', '--yes')).stdout,
      /^order_confirm: 1 orders moved, by run 1\n$/,
    )
    assert.equal((await shop.deadlines('"confirmDueAt" IS NULL')).size, 0)
    for (const [args, why] of [
      [['cancel', 'order_confirm'], /needs "where", such as/],
      [['cancel', 'order_confirm', '--where', 'country=TW'], /names "country", which is no attribute of Order/],
      [['cancel', 'order_confirm', '--where', 'TW'], /--where must be NAME=VALUE, such as country=TW, got "TW"/],
      [['schedule', 'order_confirm', '--all', '--at', 'soon'], /--at must be an instant/],
      [['cancel', 'order_confirm', '--all', '--yes', '--dry-run'], /give one of them/],
    ] as const) {
      const { status, stderr } = await project.orderTimers(...args)
      assert.equal(status, 2, stderr)
      assert.match(stderr, why)
    }
  })

  it('runs shows what has not ended, and resumes or abandons it', async () => {
    await shop.shipped(500)
    const begin = async () => {
      const stop = new AbortController()
      const onProgress = () => stop.abort(new Error('stop'))
      await assert.rejects(shop.timers.extendAll('order_confirm', { all: true, by: '1d', onProgress, signal: stop.signal }), /stop/)
    }
    assert.deepEqual(await project.orderTimers('runs'), { status: 0, stdout: 'every run has ended\n', stderr: '' })
    await begin()
    const shown = await project.orderTimers('runs')
    assert.equal(shown.status, 1)
    assert.match(shown.stdout, /^run .*\n1 +order_confirm +extendAll +20\S+Z +200 +500 +0 +\d+ s ago +\S+\n$/)
    const resumed = await project.orderTimers('runs', 'order_confirm', '--resume')
    assert.deepEqual(resumed, { status: 0, stdout: 'order_confirm: 500 orders moved, by run 1\n', stderr: '' })
    await begin()
    assert.match((await project.orderTimers('runs', 'order_confirm', '--abandon')).stdout, /^order_confirm: 200 orders moved, by run 2\n$/)
    const none = await project.orderTimers('runs', 'order_confirm', '--abandon')
    assert.equal(none.status, 2)
    assert.match(none.stderr, /there is no run to abandon; all have ended \(ERR_ORDER_TIMERS_NO_RUN\)/)
  })
})
