// The book's web process and its worker, as they stand, on Express 4 and 5: routes that answer a customer's mistake instead of ending the
// process, and a shutdown that comes to its end although clients hold connections.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { transform } from 'esbuild'
import { blockOf, root, textOf } from '../support/book.js'
import { filesOf, openProjectOf } from '../support/book-project.js'
import { type Database, openDatabase } from '../support/database.js'
import { dieWithTests, enter } from '../support/opened.js'
import { openRedis, type TestRedis } from '../support/redis.js'
import { inTime, waitUntil } from '../support/waiting.js'

const ENDS = {
  stream: `app.get('/stream', (_req, res) => { res.setHeader('content-type', 'text/event-stream'); res.write('data: 1\\n\\n') })
`,
  ready: `await worker.ready
server.listening || await new Promise((resolve) => server.once('listening', resolve))
console.log('port', server.address().port)
`,
}

describe("the book's processes", function () {
  this.timeout(60_000)
  let database: Database
  let redis: TestRedis

  beforeEach(async () => {
    ;[database, redis] = await Promise.all([openDatabase(), openRedis()])
  })

  afterEach(() => Promise.all([database.close(), redis.close()]))

  /** A project of these files, its TypeScript compiled: under a loader each process takes a second of CPU more to start. */
  const compiled = async (files: Record<string, string>, instead?: Record<string, string>) => {
    const scripts = Object.entries(files).map(async ([name, text]) => {
      if (!name.endsWith('.ts')) return [name, text] as const
      return [name.replace(/ts$/, 'js'), (await transform(text, { loader: 'ts', target: 'node20' })).code] as const
    })
    return openProjectOf(Object.fromEntries(await Promise.all(scripts)), instead)
  }

  /** The shop of docs/getting-started.md, in TypeScript, with all that further pages add to its `app.ts`. */
  const server = (express: string) => {
    const shop = filesOf('docs/lifecycle.md')
    const additions = [
      shop['app.ts'],
      ENDS.stream,
      blockOf('docs/worker.md', 'app.ts, its own view'),
      blockOf('docs/health.md', 'app.ts, its health'),
      blockOf('docs/errors.md', 'app.ts, further'),
      blockOf('docs/worker.md', 'app.ts, at its end'),
      ENDS.ready,
    ]
    return compiled({ ...shop, 'app.ts': additions.join('\n') }, { express })
  }

  const worker = () => {
    const text = `${blockOf('docs/worker.md', 'worker.js')}\nawait worker.ready\nconsole.log('ready', process.pid)\n`
    return compiled({ ...filesOf('docs/getting-started.md'), 'worker.js': text })
  }

  /** Starts a program and waits for its first line. */
  async function start({ directory, close }: Awaited<ReturnType<typeof openProjectOf>>, file: string) {
    const url = new URL(database.url)
    url.searchParams.set('options', `-c search_path=${database.schema}`)
    const env = { ...process.env, DATABASE_URL: url.href, REDIS_URL: `${redis.url}?keyPrefix=${redis.prefix}`, PORT: '0' }
    const child = dieWithTests(spawn(process.execPath, [file], { cwd: directory, env, stdio: ['ignore', 'pipe', 'ignore'] }))
    const strikeOut = enter(`process ${child.pid} of the book`, async () => child.kill('SIGKILL'))
    const ended = once(child, 'exit').finally(async () => {
      strikeOut()
      await close()
    })
    const line = once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line')
    const [ready] = await inTime(line, 30_000, `${file} to be ready`)
    return { child, ended, port: Number(/\d+/.exec(ready as string)?.[0]) }
  }

  for (const express of ['express', 'express4', 'express-oldest']) {
    it(`answer a customer's mistake and go on, on ${express}`, async () => {
      const { child, ended, port } = await start(await server(express), 'app.js')
      const post = (path: string) => fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST' })
      const order = await database.Order.create({ status: 1 })
      const shipped = await post(`/orders/${order.id}/ship`)
      assert.equal(shipped.status, 200)
      const { confirmsAt } = (await shipped.json()) as { confirmsAt: string }
      assert.ok(Date.parse(confirmsAt) > Date.now())
      assert.equal((await post(`/orders/${order.id}/extend`)).status, 200)
      assert.equal((await post('/orders/2147483647/ship')).status, 409)
      assert.equal((await fetch(`http://127.0.0.1:${port}/health/order-timers/ready`)).status, 200)
      assert.equal((await fetch(`http://127.0.0.1:${port}/internal/worker`)).status, 200)
      await order.update({ status: 5 })
      const late = await post(`/orders/${order.id}/extend`)
      assert.equal(late.status, 409)
      assert.equal(((await late.json()) as { code: string }).code, 'ERR_ORDER_TIMERS_ORDER_NOT_IN_FROM')
      await database.client.query(`DROP TABLE ${database.schema}.orders CASCADE`)
      // Express 4 hands on what an async route throws only where the route is wrapped, as docs/lifecycle.md says.
      if ((await majorOf(express)) >= 5) assert.equal((await post(`/orders/${order.id}/ship`)).status, 500)
      assert.equal((await post(`/orders/${order.id}/extend`)).status, 500)
      child.kill('SIGTERM')
      assert.deepEqual(await inTime(ended, 20_000, 'its end'), [0, null])
    })
  }

  for (const express of ['express', 'express4']) {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR2'] as const) {
      it(`end by ${signal} with a connection kept alive and a stream open, on ${express}`, async () => {
        const { child, ended, port } = await start(await server(express), 'app.js')
        const agent = new Agent({ keepAlive: true })
        const asked = (path: string, agent?: Agent) =>
          new Promise<void>((resolve, reject) => {
            get({ port, path, ...(agent && { agent }) }, (response) => {
              response.on('error', () => {})
              if (path === '/stream') response.once('data', () => resolve())
              else response.resume().once('end', resolve)
            }).on('error', reject)
          })
        await asked('/nothing', agent)
        await asked('/stream')
        const startedAt = performance.now()
        child.kill(signal)
        assert.deepEqual(await inTime(ended, 20_000, 'its end'), [0, null])
        assert.ok(performance.now() - startedAt < 12_000, 'it took longer than a stream is waited for')
        agent.destroy()
      })
    }
  }

  it('that are a worker alone end by each signal', async () => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR2'] as const) {
      const { child, ended } = await start(await worker(), 'worker.js')
      child.kill(signal)
      assert.deepEqual(await inTime(ended, 15_000, `its end by ${signal}`), [0, null])
    }
  })

  it('that are a worker alone start by nohup', async () => {
    const command = /`(nohup [^`]*)`/.exec(textOf('docs/worker.md'))?.[1] as string
    const { directory, close } = await openProjectOf({
      'worker.js': `${blockOf('docs/worker.md', 'worker.js')}\nawait worker.ready\nconsole.log('ready', process.pid)\n`,
      'models.js': 'export const sequelize = { close: async () => {} }',
      'timers.js': `import { orderTimers } from 'express-order-timers'
export const timers = orderTimers({ redis: process.env.REDIS_URL, prefix: '${redis.prefix}', rules: { order_other: async () => {} } })`,
    })
    const path = `${join(process.execPath, '..')}:${process.env.PATH}`
    spawn('sh', ['-c', command], { cwd: directory, env: { ...process.env, PATH: path }, stdio: 'ignore', detached: true }).unref()
    const log = () => readFile(join(directory, 'worker.log'), 'utf8')
    const pid = Number(await waitUntil(async () => /ready (\d+)/.exec(await log())?.[1], { within: 15_000 }))
    process.kill(pid, 'SIGTERM')
    await waitUntil(() => !isRunning(pid), { within: 10_000 })
    await close()
  })
})

/** Of a package in this project's node_modules; the matrix installs others there. */
async function majorOf(name: string): Promise<number> {
  const { version } = JSON.parse(await readFile(join(root, 'node_modules', name, 'package.json'), 'utf8'))
  return Number.parseInt(version, 10)
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
