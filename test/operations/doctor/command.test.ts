// `order-timers doctor` as it is typed: what it prints, its exit status, and that it says of a healthy shop that all is fine.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { VERSION } from '../../../lib/version.js'
import { openProject, type Project, timersModule } from '../../support/command-line.js'
import { bury } from '../../support/dead-letters.js'
import { freePort } from '../../support/free-port.js'
import { openShop, type Shop } from '../../support/shop.js'
import { confirming, Stage } from './staging.js'

describe('order-timers doctor', function () {
  this.timeout(60_000)
  let shop: Shop<never>
  let project: Project

  beforeEach(async () => {
    project = await openProject()
    shop = (await openShop(confirming)) as unknown as Shop<never>
  })

  afterEach(() => Promise.all([shop.close(), project.close()]))

  const RULES = `order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' })`
  const typed = async (redis: string, ...options: string[]) => {
    await project.write(
      'timers.mjs',
      timersModule(shop.database, RULES, `redis: '${redis}', prefix: '${shop.redis.prefix}', logger: false`),
    )
    return project.orderTimers('doctor', ...options)
  }

  it('prints what it checked, first what is wrong with its remedies, and exits with 1', async () => {
    const { status, stdout } = await typed(`redis://127.0.0.1:${await freePort()}`)
    assert.equal(status, 1)
    const [summary, , first, remedy] = stdout.split('\n')
    assert.match(summary ?? '', /^✘ \d+ things? (?:is|are) wrong, \d+ could not be checked, /)
    assert.match(
      first ?? '',
      /^✘ redis\.reachable +it does not serve \(ECONNREFUSED\) \(expected: Redis at 127\.0\.0\.1:\d+ db 0 answers\)$/,
    )
    assert.match(remedy ?? '', /^ {4}→ by hand +check that it runs and can be reached$/)
    assert.match(stdout, /^\? redis\.events +not checked: Redis does not serve/m)
    assert.match(stdout, /^✔ postgres\.reachable +it answers/m)
  })

  it('has the same as JSON', async () => {
    const { stdout } = await typed(shop.redis.url, '--json', '--role', 'web')
    const { findings, counts } = JSON.parse(stdout)
    assert.equal(findings.length, counts.fine + counts.wrong + counts.advice + counts.unseen)
    assert.deepEqual(Object.keys(findings[0]), ['name', 'verdict', 'expected', 'found', 'remedies'])
    assert.ok(!findings.some(({ name }: { name: string }) => name === 'redis.events'), 'a web process hears no events')
  })

  it('writes what it found into a file for a bug report, without what is private', async () => {
    const { client } = shop.database
    await client.query(
      `INSERT INTO orders (id, status, "confirmDueAt", "createdAt", "updatedAt") VALUES (987654, 4, now() + interval '50 s', now(), now())`,
    )
    await bury(shop.redis.client, shop.key('order-timers:{order_confirm}:failures'), [987655], 'no room for Ms Example')
    const { status, stderr } = await typed(shop.redis.url, '--bundle', 'bundle.json')
    assert.equal(status, 1)
    assert.match(stderr, /wrote bundle\.json/)
    const text = readFileSync(join(project.directory, 'bundle.json'), 'utf8')
    const { findings, rules, version } = JSON.parse(text)
    const named = findings.filter(({ verdict }: { verdict: string }) => verdict === 'wrong').map(({ name }: { name: string }) => name)
    for (const name of ['armed.missing', 'orders.dead', 'sweep.index']) assert.ok(named.includes(name), name)
    assert.deepEqual([version, rules[0].kind], [VERSION, 'order_confirm'])
    const { username, password, hostname: host } = new URL(shop.database.url)
    const hidden = ['987654', '987655', 'Ms Example', shop.redis.prefix.slice(0, -1), hostname(), host, new URL(shop.redis.url).port]
    for (const one of [...hidden, ...[username, password].filter((word) => word !== '' && word !== 'postgres')])
      assert.ok(!text.includes(one), one)
    assert.equal((await typed(shop.redis.url, '--bundle', 'bundle.json')).status, 2, 'it replaces no file')
  })

  it('exits with 0 where all is fine', async () => {
    const stage = await Stage.open()
    await stage.worker(stage.other(confirming(stage.database)))
    const { url, prefix } = stage.shop.redis
    await project.write('timers.mjs', timersModule(stage.database, RULES, `redis: '${url}', prefix: '${prefix}', logger: false`))
    const { status, stdout } = await project.orderTimers('doctor')
    assert.match(stdout, /^✔ \d+ are fine\n\n✔ versions\.node/)
    assert.equal(status, 0)
    await stage.close()
  })

  it('refuses an unknown role', async () => {
    assert.equal((await typed(shop.redis.url, '--role', 'cron')).status, 2)
  })
})
