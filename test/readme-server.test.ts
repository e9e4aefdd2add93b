// The README's web process and its worker, as they stand, on Express 4 and 5: routes that answer a customer's mistake instead of ending the
// process, and a shutdown that comes to its end although clients hold connections.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Database, openDatabase } from './support/database.js'
import { dieWithTests, enter } from './support/opened.js'
import { openRedis, type TestRedis } from './support/redis.js'
import { inTime } from './support/waiting.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const readme = ['docs/getting-started.md', 'docs/lifecycle.md', 'docs/worker.md']
  .map((page) => readFileSync(join(root, page), 'utf8'))
  .join('\n')
const blocks = [...readme.matchAll(/^```[jt]s\n([\s\S]*?)^```$/gm)].map(([, text]) => text as string)
const block = (file: string) => blocks.find((text) => text.startsWith(`// ${file}\n`)) ?? assert.fail(`the README has no ${file}`)

/** The shop around the README's files. */
const MODELS = `
import { DataTypes, Model, Sequelize } from 'sequelize'
export const sequelize = new Sequelize(process.env.DATABASE_URL, { logging: false, define: { schema: process.env.SCHEMA } })
export class Order extends Model {}
Order.init({ status: DataTypes.INTEGER, confirmDueAt: DataTypes.DATE, createdAt: DataTypes.DATE }, { sequelize, tableName: 'orders', updatedAt: false })
`
const SHOP = `
import express from 'express'
export { sequelize } from './models.js'
export const app = express()
`
const ENDS = {
  stream: `app.get('/stream', (_req, res) => { res.setHeader('content-type', 'text/event-stream'); res.write('data: 1\\n\\n') })
`,
  said: `await worker.ready
server.listening || await new Promise((resolve) => server.once('listening', resolve))
console.log('port', server.address().port)
`,
}

describe("the README's processes", function () {
  this.timeout(60_000)
  let database: Database
  let redis: TestRedis

  beforeEach(async () => {
    ;[database, redis] = await Promise.all([openDatabase(), openRedis()])
  })

  afterEach(() => Promise.all([database.close(), redis.close()]))

  async function project(express: string, files: Record<string, string>) {
    const directory = await mkdtemp(join(root, 'node_modules', '.readme-'))
    const modules = join(directory, 'node_modules')
    await mkdir(modules)
    await symlink(root, join(modules, 'express-order-timers'))
    await symlink(join(root, 'node_modules', express), join(modules, 'express'))
    await writeFile(join(directory, 'package.json'), '{ "type": "module" }')
    const prefixed = block('timers.ts').replace('redis:', `prefix: ${JSON.stringify(redis.prefix)},\n  redis:`)
    const all = { 'models.ts': MODELS, 'shop.ts': SHOP, 'timers.ts': prefixed, ...files }
    for (const [name, text] of Object.entries(all)) await writeFile(join(directory, name), text)
    return directory
  }

  /** Starts a program and waits for its first line. */
  async function start(directory: string, file: string) {
    const env = { ...process.env, SCHEMA: database.schema, PORT: '0' }
    const tsx = join(root, 'node_modules/tsx/dist/esm/index.mjs')
    const child = dieWithTests(
      spawn(process.execPath, ['--import', tsx, file], { cwd: directory, env, stdio: ['ignore', 'pipe', 'ignore'] }),
    )
    const strikeOut = enter(`process ${child.pid} of the README`, async () => child.kill('SIGKILL'))
    const ended = once(child, 'exit').finally(async () => {
      strikeOut()
      await rm(directory, { recursive: true, force: true })
    })
    const [line] = await inTime(
      once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line'),
      30_000,
      `${file} to be ready`,
    )
    return { child, ended, port: Number(/\d+/.exec(line as string)?.[0]) }
  }

  const server = (express: string) =>
    project(express, {
      'caught.ts': block('caught.ts'),
      'app.ts': `${block('app.ts')}\n${block('app.ts, further')}\n${ENDS.stream}${block('app.ts, at its end')}\n${ENDS.said}`,
    })

  for (const express of ['express', 'express4', 'express-oldest']) {
    it(`answer a customer's mistake and go on, on ${express}`, async () => {
      const { child, ended, port } = await start(await server(express), 'app.ts')
      const post = (path: string) => fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST' })
      const order = await database.Order.create({ status: 4 })
      const shipped = await post(`/orders/${order.id}/ship`)
      assert.equal(shipped.status, 200)
      const { confirmsAt } = (await shipped.json()) as { confirmsAt: string }
      assert.ok(Date.parse(confirmsAt) > Date.now())
      assert.equal((await post(`/orders/${order.id}/extend`)).status, 200)
      assert.equal((await post('/orders/2147483647/ship')).status, 404)
      await order.update({ status: 5 })
      assert.equal((await post(`/orders/${order.id}/extend`)).status, 409)
      await database.client.query(`DROP TABLE ${database.schema}.orders CASCADE`)
      assert.equal((await post(`/orders/${order.id}/ship`)).status, 500)
      assert.equal((await post(`/orders/${order.id}/extend`)).status, 500)
      child.kill('SIGTERM')
      assert.deepEqual(await inTime(ended, 20_000, 'its end'), [0, null])
    })
  }

  for (const express of ['express', 'express4']) {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR2'] as const) {
      it(`end by ${signal} with a connection kept alive and a stream open, on ${express}`, async () => {
        const { child, ended, port } = await start(await server(express), 'app.ts')
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
      const text = `${block('worker.js')}\nawait worker.ready\nconsole.log('ready', process.pid)\n`
      const { child, ended } = await start(await project('express', { 'worker.js': text }), 'worker.js')
      child.kill(signal)
      assert.deepEqual(await inTime(ended, 15_000, `its end by ${signal}`), [0, null])
    }
  })
})
