import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { openProject, timersModule } from '../../support/command-line.js'
import { enter } from '../../support/opened.js'
import { programArgs } from '../../support/programs.js'
import { openShop } from '../../support/shop.js'
import { inTime, waitUntil } from '../../support/waiting.js'

const MAIN = new URL('../../../lib/cli/main.ts', import.meta.url)
const RULES = "order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' })"

describe('order-timers worker', () => {
  it('settles until SIGTERM, says once that it is ready, logs JSON lines with its identity, and can be asked whether it works', async () => {
    const [project, shop] = await Promise.all([openProject(), openShop(() => ({ order_other: () => {} }))])
    const redis = `redis: '${shop.redis.url}', prefix: '${shop.redis.prefix}'`
    const silent = timersModule(shop.database, RULES, redis).replace(', { logging: console.log }', ', { logging: false }')
    await project.write('timers.mjs', silent)
    const file = join(project.directory, 'alive')
    const check = () => project.orderTimers('worker', '--check', '--alive-file', file, '--json')
    const none = await check()
    assert.deepEqual([none.status, JSON.parse(none.stdout).alive], [1, false])

    const due = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - 60_000) })
    const args = [...programArgs(MAIN), 'worker', '--json', '--alive-file', file, '--fallback', '*/5 * * * * *']
    const child = spawn(process.execPath, args, { cwd: project.directory, stdio: ['ignore', 'pipe', 'inherit'] })
    const strikeOut = enter(`process ${child.pid}`, async () => void child.kill('SIGKILL'))
    const lines: Record<string, unknown>[] = []
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)))
    const ofCode = (code: string) => lines.filter((line) => line.code === code)
    await waitUntil(() => ofCode('WORKER_READY').length === 1, { within: 30_000 })
    await waitUntil(async () => (await shop.statusOf(due)) === 5)
    const [ready] = ofCode('WORKER_READY')
    assert.match(String(ready?.process), new RegExp(`:${child.pid}:[0-9a-f]{6}$`)) // the process itself is the worker
    assert.deepEqual(new Set(lines.map((line) => line.process)), new Set([ready?.process]))
    assert.equal(ofCode('WORKER_STARTED').length, 1)
    assert.ok(lines.some(({ kind, via, count }) => kind === 'order_confirm' && via === 'sweep' && count === 1))
    const alive = await check()
    assert.deepEqual([alive.status, JSON.parse(alive.stdout).alive], [0, true])

    child.kill('SIGTERM')
    const [status, signal] = await inTime(once(child, 'exit'), 15_000, 'the worker to end')
    strikeOut()
    assert.deepEqual([status, signal], [0, null])
    assert.equal((await check()).status, 1)
    await Promise.all([shop.close(), project.close()])
  })

  it('refuses options that are wrong before it loads anything, with exit status 2', async () => {
    const project = await openProject()
    const { status, stderr } = await project.orderTimers('worker', '--fallback', 'often')
    assert.equal(status, 2)
    assert.match(stderr, /^order-timers: --fallback must be a cron expression/)
    assert.equal((await project.orderTimers('worker', '--concurrency', '0')).status, 2)
    await project.close()
  })
})
