// The README's own blocks, run: its TypeScript compiles, its SQL, its Redis configuration and its user's rights serve, its ways to start
// a worker start one, and each of its commands is one that this suite or CI runs.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { orderTimers, startExpiryWorker, transition } from '../lib/index.js'
import { openDatabase } from './support/database.js'
import { RedisServer } from './support/redis-server.js'
import { inTime, waitUntil } from './support/waiting.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const readme = [
  'README.md',
  'docs/getting-started.md',
  'docs/rules.md',
  'docs/lifecycle.md',
  'docs/testing.md',
  'docs/worker.md',
  'docs/redis.md',
  'docs/cli.md',
  'docs/promises.md',
]
  .map((page) => readFileSync(join(root, page), 'utf8'))
  .join('\n')
const run = promisify(execFile)

/** What stands between fences of this language, in order. */
function blocks(language: string): string[] {
  return [...readme.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].filter(([, name]) => name === language).map(([, , text]) => text as string)
}

/** Where each command of the README is run. */
const RUN_BY: Record<string, string> = {
  'npm run demo -- --once': 'test/example.test.ts',
  'npm run demo': 'test/example-page.test.ts, which opens the same shop',
  'npm test': '.ci/run',
  'npm run check': '.ci/run',
  'npm install express-order-timers ioredis': 'test/package, from the packed tarball, in a shop that has the rest',
  'npm install express sequelize pg': 'test/package, in a new shop',
  'npm run bench': 'by hand; its figures are in docs/benchmarks.md',
  'npm run chaos -- --seconds 600 --workers 3': 'test/faults, for some seconds',
  'npm run chaos -- --seconds 45 --workers 3 --json': 'test/faults, for some seconds',
  'npm run mutants': 'by hand',
  'npx order-timers migration': 'test/cli',
  'npx order-timers migration --sql': 'test/cli',
  'npx order-timers migration --trigger --kind order_confirm': 'test/cli',
  'npx order-timers plan': 'test/cli',
  'npx order-timers status': 'test/cli',
  'npx order-timers sweep --stale': 'test/cli',
  'npx order-timers dead': 'test/cli',
  'npx order-timers retry order_confirm 34': 'test/cli',
  'npx order-timers release order_confirm': 'test/cli',
}

describe('the README', () => {
  it('names no command that nothing runs', async () => {
    const commands = blocks('sh').flatMap((text) => text.trim().split('\n'))
    assert.ok(commands.length > 3)
    for (const command of commands.map((line) => line.replace(/\s+#.*$/, ''))) assert.ok(command in RUN_BY, `nothing runs: ${command}`)
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
    for (const [, script] of readme.matchAll(/npm run (\w+)/g))
      assert.ok(script && script in scripts, `package.json has no script ${script}`)
  })

  it('has TypeScript that compiles', async () => {
    const directory = await mkdtemp(join(root, 'node_modules', '.readme-'))
    try {
      const sources = {
        'models.ts': `import { Model } from 'sequelize'
export class Order extends Model<{ id: number; status: number; createdAt: Date; confirmDueAt: Date | null; confirmLeftMs: string | null;
  confirmExtended: number | null; disputeOpen: boolean; isPaid: boolean }> { declare country: string }`,
        'shop.ts': `import express from 'express'
import { Sequelize } from 'sequelize'
export const app = express()
export const sequelize = new Sequelize('postgres://127.0.0.1/shop')
export const sendMail = async (..._about: unknown[]) => {}
export const putBack = async (..._goods: unknown[]) => {}`,
        'package.json': '{ "type": "module" }',
        'tsconfig.json': JSON.stringify({
          compilerOptions: { module: 'nodenext', target: 'es2022', strict: true, noEmit: true, skipLibCheck: true, types: ['node'] },
          include: ['*.ts'],
        }),
      }
      const [, timers, app, ...further] = blocks('ts')
      const isCaught = (text: string) => text.startsWith('// caught.ts\n')
      const more = further.filter((text) => !isCaught(text)).join('\n')
      const texts = { ...sources, 'timers.ts': timers, 'caught.ts': further.find(isCaught), 'app.ts': `${app}\n${more}` }
      await mkdir(join(directory, 'node_modules'))
      await symlink(root, join(directory, 'node_modules/express-order-timers'))
      for (const [name, text] of Object.entries(texts)) await writeFile(join(directory, name), text as string)
      await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', directory]).catch((error) =>
        assert.fail(error.stdout),
      )
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  }).timeout(60_000)

  it('has SQL that makes the index', async () => {
    const database = await openDatabase()
    const statements = blocks('sql')
    assert.equal(statements.length, 1)
    await database.client.query(statements[0] as string)
    const { rows } = await database.client.query('SELECT indexname FROM pg_indexes WHERE schemaname = $1 AND indexname = $2', [
      database.schema,
      'orders_confirm_due',
    ])
    assert.equal(rows.length, 1)
    await database.close()
  })

  it('has a redis.conf and a user of least privilege with which keys of both kinds are settled', async () => {
    const conf = blocks('').find((text) => text.startsWith('notify-keyspace-events')) as string
    const server = await RedisServer.start(
      conf
        .trim()
        .split('\n')
        .flatMap((line) => {
          const [name, value] = line.split(' ')
          return [`--${name}`, value as string]
        }),
    )
    const [, line = ''] = blocks('acl')[0]?.split('\n') ?? []
    const admin = new Redis(server.url)
    await admin.call(...(line.replace('>SECRET', '>secret').split(' ') as [string, ...string[]]))
    const database = await openDatabase()
    const timers = orderTimers({
      logger: false,
      redis: server.url.replace('//', '//shop:secret@'),
      rules: {
        order_confirm: transition(database.Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '100ms' }),
        order_pay: transition(database.Order, { from: 1, to: 0, since: 'createdAt', after: '100ms' }),
      },
    })
    const worker = startExpiryWorker(timers, { fallback: false })
    await worker.ready
    const shipped = await database.Order.create({ status: 4 })
    assert.equal((await timers.schedule('order_confirm', shipped)).armed, true)
    const placed = await database.Order.create({ status: 1 })
    await admin.setex(`order_pay:${placed.id}`, 1, '1')
    await waitUntil(async () => (await database.Order.count({ where: { status: [5, 0] } })) === 2)
    await waitUntil(() => worker.health().redis?.events === true)
    await waitUntil(() => (worker.health().redis?.externalScans ?? 0) > 0)
    assert.deepEqual(worker.health().faults, [])
    await worker.stop()
    await timers.close()
    admin.disconnect()
    await database.close()
    await server.stop()
  })

  it('has a way to start a worker by nohup', async () => {
    const command = /`(nohup [^`]*)`/.exec(readme)?.[1] as string
    const directory = await mkdtemp(join(tmpdir(), 'order-timers-readme-'))
    await mkdir(join(directory, 'node_modules'))
    await symlink(root, join(directory, 'node_modules/express-order-timers'))
    await writeFile(join(directory, 'package.json'), '{ "type": "module" }')
    const program = blocks('js').find((text) => text.startsWith('// worker.js\n')) as string
    const files = {
      'worker.js': `${program}\nawait worker.ready\nconsole.log('ready', process.pid)\n`,
      'models.js': 'export const sequelize = { close: async () => {} }',
      'timers.js': `import { orderTimers } from 'express-order-timers'
export const timers = orderTimers({ redis: process.env.REDIS_URL, prefix: 'readme:', rules: { order_other: async () => {} } })`,
    }
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
    const path = `${join(process.execPath, '..')}:${process.env.PATH}`
    spawn('sh', ['-c', command], { cwd: directory, env: { ...process.env, PATH: path }, stdio: 'ignore', detached: true }).unref()
    const log = () => readFile(join(directory, 'worker.log'), 'utf8')
    const pid = Number(await waitUntil(async () => /ready (\d+)/.exec(await log())?.[1], { within: 15_000 }))
    process.kill(pid, 'SIGTERM')
    await inTime(
      waitUntil(() => !isRunning(pid), { within: 10_000 }),
      12_000,
      'the worker to end',
    )
    await rm(directory, { recursive: true, force: true })
  }).timeout(40_000)
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
