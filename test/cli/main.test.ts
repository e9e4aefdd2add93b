import assert from 'node:assert/strict'
import { openProject, type Project, timersModule } from '../support/command-line.js'
import { type Database, openDatabase } from '../support/database.js'
import { freePort } from '../support/free-port.js'

const DAY_MS = 86_400_000
const CONFIRM = "order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' })"

// Each is a process of its own, on a shop whose Sequelize prints every statement to the console.
describe('the program order-timers', function () {
  this.timeout(60_000)
  let database: Database
  let project: Project

  beforeEach(async () => {
    ;[database, project] = await Promise.all([openDatabase(), openProject()])
    await project.write('timers.mjs', timersModule(database, CONFIRM))
  })

  afterEach(() => Promise.all([database.close(), project.close()]))

  const overdue = (...byMs: number[]) =>
    database.Order.bulkCreate(byMs.map((ms) => ({ status: 4, confirmDueAt: new Date(Date.now() - ms) })))

  it('prints a plan for a person', async () => {
    await overdue(60_000, 8 * DAY_MS, -1_800_000)
    const { status, stdout, stderr } = await project.orderTimers('plan', '--days', '2')
    assert.deepEqual([status, stderr], [0, ''])
    const figures = ['settled at once +1 ', 'held as stale +1 ', 'undated +0 ', 'due in 2 days +1 ', 'due later +0\n']
    for (const line of ['order_confirm\n', ...figures]) assert.match(stdout, new RegExp(line))
    assert.match(stdout, /settled at once, the first: 1 \(20\d\d-[-\dT:.]+Z\)/)
    assert.match(stdout, /by the hour:\n +20\d\d-\d\d-\d\d \d\d:00 UTC +1\n/)
    assert.match(stdout, /nothing was changed/)
  })

  it('prints a status, and ends with 1 where Redis does not answer', async () => {
    await overdue(60_000)
    const healthy = await project.orderTimers('status')
    assert.deepEqual([healthy.status, healthy.stderr], [0, ''])
    const [headline = '', , header = '', row = ''] = healthy.stdout.split('\n')
    assert.match(
      headline,
      /^! OVERDUE: order_confirm: 1 order is overdue without a known reason, the oldest for \d+ s; on which orders the rule failed is only in the logs of the workers → the next sweep settles what it can$/,
    )
    assert.deepEqual(header.split(/ {2,}/).slice(0, 5), ['rule', 'pending', 'overdue', 'oldest', 'retrying'])
    assert.match(row, /^order_confirm +0 +1 +\d+ s +- +0 +- +0 +0 +0 +0 +0( +-){7}$/)
    assert.match(
      healthy.stdout,
      /\nPostgres: answers\nRedis: not used\n[\s\S]*\nAlive: not known \(by Redis alone: Postgres has no table order_timers_processes; [^\n]+\n$/,
    )

    await project.write('timers.mjs', timersModule(database, CONFIRM, `redis: 'redis://127.0.0.1:${await freePort()}'`))
    const { status, stdout } = await project.orderTimers('status', '--json')
    assert.equal(status, 1)
    assert.deepEqual([JSON.parse(stdout).redis.answering, JSON.parse(stdout).rules[0].rows.overdue], [false, 1])
  })

  it('settles what is stale once it is told to, and says what failed by exit status 1', async () => {
    await overdue(60_000, 8 * DAY_MS, 8 * DAY_MS)
    const run = 'run: (orders) => { if (orders.some(({ id }) => id === 3)) throw new Error("no stock") }'
    await project.write('timers.mjs', timersModule(database, CONFIRM.replace(' })', `, ${run} })`)))
    const { status, stdout, stderr } = await project.orderTimers('sweep', '--stale', '--yes')
    const orders = await database.Order.findAll({ order: ['id'] })
    assert.deepEqual(
      orders.map((order) => order.status),
      [5, 5, 4],
    )
    assert.equal(status, 1)
    assert.match(stderr, /^not recorded: .* `order-timers migration` prints\norder_confirm 3: failed: no stock\n$/)
    assert.match(stdout, /^order_confirm +2 +0 +0 +1 +0 +0 +0 +0 +0$/m)
  })

  it('settles by the valid rules if another one is wrong, and says what is wrong', async () => {
    await overdue(60_000)
    const wrong = "order_pay: transition(Order, { from: 1, to: 0, since: 'creatdAt', after: '15m' })"
    await project.write('timers.mjs', timersModule(database, `${wrong}, ${CONFIRM}`))
    const { status, stdout, stderr } = await project.orderTimers('sweep')
    assert.deepEqual([status, stderr], [1, ''])
    assert.match(stdout, /^order_confirm +1 /m)
    assert.match(stdout, /^INVALID_MODEL: orderTimers: rule "order_pay": .*creatdAt/m)
    const only = await project.orderTimers('sweep', '--json', '--kind', 'order_pay')
    const { kinds, faults } = JSON.parse(only.stdout)
    assert.deepEqual([only.status, kinds, faults.length, faults[0].kind, faults[0].code], [1, {}, 1, 'order_pay', 'INVALID_MODEL'])
  })

  it('prints a migration for the kind of modules that the project has', async () => {
    const commonjs = await project.orderTimers('migration')
    assert.deepEqual([commonjs.status, commonjs.stderr], [0, ''])
    assert.match(commonjs.stdout, /\nmodule\.exports = \{ up: /)
    await project.write('package.json', '{ "type": "module" }')
    const esm = await project.orderTimers('migration', '--trigger')
    assert.match(esm.stdout, /CREATE TRIGGER .*\nexport default \{ up: /s)
    const sql = await project.orderTimers('migration', '--sql', '--kind', 'order_confirm')
    assert.match(sql.stdout, /^-- .*\nBEGIN;\n.*ADD COLUMN IF NOT EXISTS "confirmDueAt" timestamptz;\n.*\nCOMMIT;\n/s)
    assert.doesNotMatch(sql.stdout, /TRIGGER/)
  })

  it("ends although the shop's module keeps something open, and keeps what that prints out of its answers", async () => {
    await project.write('timers.mjs', `${timersModule(database, CONFIRM)}\nsetInterval(() => {}, 1_000)\nconsole.log('models loaded')\n`)
    const { status, stdout, stderr } = await project.orderTimers('plan', '--json')
    assert.deepEqual([status, JSON.parse(stdout).rules.length, stderr], [0, 1, 'models loaded\n'])
  })
})
