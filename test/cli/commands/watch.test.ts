import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Watched, watch } from '../../../lib/admin/watch.js'
import { run } from '../../../lib/cli/run.js'
import { transition } from '../../../lib/index.js'
import type { LiveFeed } from '../../../lib/redis/live-feed.js'
import { openProject, type Project, timersModule } from '../../support/command-line.js'
import { enter } from '../../support/opened.js'
import { programArgs } from '../../support/programs.js'
import { runtimeOf } from '../../support/runtime.js'
import { openShop, type Shop } from '../../support/shop.js'
import { inTime, waitUntil } from '../../support/waiting.js'

const MAIN = new URL('../../../lib/cli/main.ts', import.meta.url)
const CONFIRM = "order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' })"

describe('order-timers watch', function () {
  this.timeout(60_000)
  let shop: Shop<never>
  let project: Project

  beforeEach(async () => {
    project = await openProject()
    const run = () => {
      throw new Error('no stock')
    }
    shop = (await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
      order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '1s', attempts: 1, run }),
    }))) as unknown as Shop<never>
  })
  afterEach(() => Promise.all([shop.close(), project.close()]))

  const feed = () => runtimeOf(shop.timers).redis?.feed as LiveFeed
  const channel = () => runtimeOf(shop.timers).keys.watchChannel
  const write = (file = 'timers.mjs') =>
    project.write(file, timersModule(shop.database, CONFIRM, `redis: '${shop.redis.url}', prefix: '${shop.redis.prefix}', logger: false`))
  const typed = async (args: string[], remark: (text: string) => void) => {
    const lines: string[] = []
    const context = { directory: project.directory, print: (text: string) => void lines.push(text), remark }
    return { status: await run(['watch', ...args], context), lines }
  }

  it('reports timers armed, events and settlements, and only while somebody watches', async () => {
    const worker = await shop.worker({ fallback: false })
    const published: string[] = []
    const listener = shop.redis.client.duplicate()
    listener.on('message', (_, text) => JSON.parse(text).notes.length > 0 && published.push(text)) // others are the watcher's own signs
    await listener.subscribe(channel())
    const settle = async () => {
      const id = await shop.order({ status: 4 })
      await shop.timers.schedule('order_confirm' as never, id, { after: 50 })
      await waitUntil(async () => (await shop.statusOf(id)) === 5)
      return String(id)
    }
    await settle()

    const notes: Watched[] = []
    const end = await watch(runtimeOf(shop.timers), { onNote: (note) => notes.push(note), onLost: assert.fail, onTrouble: assert.fail })
    await waitUntil(() => feed().watched, { what: 'the next beat to see the watcher' })
    assert.equal(published.length, 0)
    const id = await settle()
    const external = String(await shop.order({ status: 4, confirmDueAt: new Date() }))
    await shop.redis.client.set(`${shop.redis.prefix}order_confirm:${external}`, '1', 'PX', 20)
    const of = (what: Watched['what'], order: string) =>
      notes.find((note) => note.what === what && note.kind === 'order_confirm' && note.orders.some((one) => one.id === order))
    const settled = await waitUntil(() => of('settled', id))
    const armed = await waitUntil(() => of('armed', id))
    await waitUntil(() => of('event', external))
    await waitUntil(() => of('settled', external))
    assert.deepEqual([settled.via, settled.count, typeof settled.orders[0]?.ms], ['alarm', 1, 'number'])
    assert.ok(Math.abs((armed.orders[0]?.ms as number) - Date.now()) < 10_000)
    assert.equal(settled.process, runtimeOf(shop.timers).identity.id)

    await end()
    await waitUntil(() => !feed().watched, { what: 'the next beat to see nobody' })
    published.length = 0
    await settle()
    await worker.stop() // what it still had to tell would have been told
    assert.deepEqual(published, [])
    listener.disconnect()
  })

  it('reports failed attempts, the last one as dead', async () => {
    await shop.order({ status: 1, createdAt: new Date(Date.now() - 60_000) })
    const notes: Watched[] = []
    const end = await watch(runtimeOf(shop.timers), { onNote: (note) => notes.push(note), onLost: assert.fail, onTrouble: assert.fail })
    feed().watched = true
    await shop.worker({ fallback: false })
    const dead = await waitUntil(() => notes.find(({ what }) => what === 'dead'))
    assert.deepEqual([dead.kind, dead.orders], ['order_pay', [{ id: '1' }]])
    await end()
  })

  it('prints a line for each batch of the given rule, what others publish in one line, and drops what is no message', async () => {
    await write('watched.mjs')
    const orders = [
      { id: '34\u001b[2J\nfoo', ms: 2.13 },
      { id: '35', ms: 8 },
    ]
    const note = { what: 'settled', kind: 'order_confirm', via: 'alarm', count: 70, orders }
    const message = { process: 'host:1:abcdef', lost: 0, notes: [note, { ...note, kind: 'order_other' }, { what: 'settled' }, 7] }
    const remarks: string[] = []
    const ended = await typed(['order_confirm', '--for', '3s', '--module', 'watched.mjs'], (text) => {
      remarks.push(text)
      for (const text of ['{', 'null', '{"notes":7}', JSON.stringify(message)]) void shop.redis.client.publish(channel(), text)
    })
    assert.equal(ended.status, 0)
    assert.deepEqual(remarks, ['watching: processes start to report within 2 s; Ctrl-C ends it'])
    const [line = '', ...others] = ended.lines
    const expected = 'order_confirm settled 70: 34 [2J foo, 35, and 68 more (by alarm, 8.0 ms late (median), 8.0 ms (most))'
    assert.deepEqual([line.slice(13), others], [expected, []])
    assert.equal(await shop.redis.client.hget(runtimeOf(shop.timers).keys.processes, 'watch'), null)
  })

  it('ends by Ctrl-C with exit status 0, and prints JSON lines', async () => {
    await write()
    const args = [...programArgs(MAIN), 'watch', '--json']
    const child = spawn(process.execPath, args, { cwd: project.directory, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    const strikeOut = enter(`process ${child.pid}`, async () => void process.kill(-(child.pid as number), 'SIGKILL'))
    const lines: string[] = []
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
    await inTime(once(createInterface({ input: child.stderr }), 'line'), 30_000, 'it to watch')
    const note = { what: 'armed', kind: 'order_confirm', count: 1, orders: [{ id: '34', ms: 1_800_000_000_000 }] }
    await shop.redis.client.publish(channel(), JSON.stringify({ process: 'p', lost: 0, notes: [note] }))
    await waitUntil(() => lines.length > 0)
    const { at, ...told } = JSON.parse(lines[0] as string)
    assert.deepEqual([told, Number.isNaN(Date.parse(at))], [{ process: 'p', ...note }, false])
    process.kill(-(child.pid as number), 'SIGINT') // as a terminal does it: to the program and its child
    const [status, signal] = await inTime(once(child, 'exit'), 15_000, 'it to end')
    strikeOut()
    assert.deepEqual([status, signal], [0, null])
  })

  it('says with exit status 3 that Redis does not answer, and with 2 that the rule or the time is wrong', async () => {
    await project.write('off.mjs', timersModule(shop.database, CONFIRM))
    await write('on.mjs')
    const remarks: string[] = []
    const remark = (text: string) => void remarks.push(text)
    const statuses = [
      (await typed(['--module', 'off.mjs'], remark)).status,
      (await typed(['order_confrm', '--module', 'on.mjs'], remark)).status,
      (await typed(['--for', 'ever'], remark)).status,
    ]
    assert.deepEqual(statuses, [3, 2, 2])
    assert.match(remarks[0] as string, /"redis" is false, and what happens is told through Redis/)
  })
})
