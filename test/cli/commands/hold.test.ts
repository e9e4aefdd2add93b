import assert from 'node:assert/strict'
import { hostname, userInfo } from 'node:os'
import { type BulkShop, confirmRule, openBulkShop } from '../../support/bulk-shop.js'
import { openProject, type Project, timersModule } from '../../support/command-line.js'

const RULES = "order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }), order_other: async () => {}"
const WHY = ['--reason', 'the provider is down']

// The program as a process of its own, beside the shop's own timers on the same orders.
describe('hold and release on the command line', function () {
  this.timeout(60_000)
  let shop: BulkShop<ReturnType<typeof confirmRule>>
  let project: Project

  beforeEach(async () => {
    project = await openProject()
    shop = await openBulkShop(confirmRule)
    await project.write('timers.mjs', timersModule(shop.database, RULES, `redis: '${shop.redis.url}', prefix: '${shop.redis.prefix}'`))
  })

  afterEach(() => Promise.all([shop.close(), project.close()]))

  const hold = (...args: string[]) => project.orderTimers('hold', 'order_confirm', ...args)
  const release = (...args: string[]) => project.orderTimers('release', 'order_confirm', ...args)
  const lengthMs = async (): Promise<number> =>
    (await shop.database.client.query('SELECT length_ms::float8 AS ms FROM order_timers_holds ORDER BY id DESC LIMIT 1')).rows[0].ms

  it('holds, says how it goes on, and records who did it and why; release with --shift moves the deadlines', async () => {
    await shop.shipped(3)
    const before = await shop.deadlines()
    const held = await hold(...WHY)
    assert.deepEqual([held.status, held.stderr], [0, ''])
    assert.match(
      held.stdout,
      /^order_confirm: held since \d{4}-\S+Z, and nothing of it is being settled; order-timers release order_confirm lets it go on\n$/,
    )
    const again = await hold(...WHY)
    assert.deepEqual([again.status, again.stdout], [1, ''])
    assert.match(again.stderr, /is held already since \S+ by \S+ \(the provider is down\); nothing was changed/)
    const released = await release('--shift', '--json')
    const { moved, wasHeld, lengthMs: length, opensAt } = JSON.parse(released.stdout)
    assert.deepEqual([released.status, wasHeld, moved, length, opensAt], [0, true, 3, await lengthMs(), null])
    assert.deepEqual(
      [...(await shop.deadlines())],
      [...before].map(([id, at]) => [id, (at as number) + length]),
    )
    const { rows } = await shop.database.client.query(
      'SELECT action, actor, via, reason FROM order_timers_actions WHERE ends IS NULL ORDER BY id',
    )
    const by = { actor: `${userInfo().username}@${hostname()}`, via: 'command' }
    assert.deepEqual(rows, [
      { action: 'hold', ...by, reason: 'the provider is down' },
      { action: 'release', ...by, reason: null },
    ])
  })

  it('releases without the table of actions too, and says that it was not recorded', async () => {
    await hold(...WHY)
    await shop.database.client.query('DROP TABLE order_timers_actions')
    const { status, stdout, stderr } = await release()
    assert.match(stderr, /^not recorded: .* `order-timers migration` prints\n$/)
    assert.match(stdout, /^order_confirm: released; /)
    assert.equal(status, 0)
  })

  it('says until when, and opens after --grace', async () => {
    const held = await hold(...WHY, '--until', '2h', '--no-shift')
    assert.match(held.stdout, /; a sweep releases it at \d{4}-\S+Z\n$/)
    const released = await release('--grace', '30m')
    assert.match(released.stdout, /^order_confirm: stays held until \d{4}-\S+Z, and goes on by itself then\n$/)
  })

  it('refuses wrong input with exit status 2, and what cannot be done with 1, and changes nothing', async () => {
    const wrong: [string[], RegExp, number?][] = [
      [['hold', 'order_confirm'], /say why: --reason/],
      [['hold', 'order_confirm', ...WHY, '--until', '2h'], /"until" needs to be told what becomes of the deadlines/, 1],
      [['hold', 'order_confirm', ...WHY, '--until', 'soon', '--shift'], /"until"/],
      [['hold', 'order_othr', ...WHY], /order_othr/],
      [['hold', 'order_other', ...WHY], /plain function/, 1],
      [['release', 'order_confirm', '--shift'], /is not held/, 1],
      [['release', 'order_confirm', '--shift', '--grace', '1h'], /./],
      [['release', 'order_confirm', '--what', 'both'], /--what must be hold or brake/],
      [['release', 'order_confirm', '--expect', 'few'], /--expect must be a whole number/],
    ]
    for (const [args, message, expected = 2] of wrong) {
      const { status, stderr } = await project.orderTimers(...args)
      assert.match(stderr, message)
      assert.equal(status, expected, `${args.join(' ')}: ${stderr}`)
    }
    assert.deepEqual((await shop.database.client.query('SELECT 1 FROM order_timers_holds')).rows, [])
  })
})
