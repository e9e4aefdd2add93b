// docs/getting-started.md, typed line by line by somebody who has a Redis and a Postgres. What is not typed as it stands: where these are, the
// port, and `npm install`, which test/package runs from the packed package in a new shop.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { type Block, blocksOf, commandsOf, root } from '../support/book.js'
import { openDatabase } from '../support/database.js'
import { freePort } from '../support/free-port.js'
import { dieWithTests } from '../support/opened.js'
import { RedisServer } from '../support/redis-server.js'
import { waitUntil } from '../support/waiting.js'

const PAGE = 'docs/getting-started.md'
const MODULES = ['express', 'express-order-timers', 'ioredis', 'pg', 'sequelize']
const SERVER = 'node app.js'

describe(PAGE, () => {
  it('makes a shop with two rules in an empty folder, as it says', async () => {
    const database = await openDatabase()
    await database.client.query('DROP TABLE orders CASCADE')
    const redis = await RedisServer.start()
    const url = new URL(database.url)
    url.searchParams.set('options', `-c search_path=${database.schema}`)
    const beginning = await mkdtemp(join(tmpdir(), 'order-timers-shop-'))
    const port = await freePort()
    const servers = { REDIS_URL: redis.url, DATABASE_URL: url.href }
    const shell = new Shell(beginning, {
      PORT: String(port),
      PATH: `${await programs(beginning)}:${dirname(process.execPath)}:${process.env.PATH}`,
    })
    try {
      for (const block of blocksOf(PAGE)) {
        if (block.language === 'js') await writeFile(join(shell.directory, block.title as string), block.text)
        if (block.language === 'sh') for (const command of commandsOf(block)) await shell.type(here(command, servers))
        if (block.language === 'console') {
          for (const [command, printed] of typedIn(block)) {
            const local = command.replaceAll('localhost:3000', `127.0.0.1:${port}`)
            const again = local.replace(/^sleep \d+; /, '')
            const first = await shell.type(local)
            // A machine that is busy may be late; nothing else may.
            if (again !== local && alike(first) !== alike(printed)) {
              await waitUntil(async () => alike(await shell.type(again)) === alike(printed), { within: 5_000, every: 250, what: command })
            } else assert.equal(alike(first), alike(printed), command)
          }
        }
      }
      assert.deepEqual((await database.client.query('SELECT id, status FROM orders ORDER BY id')).rows, [
        { id: 1, status: 0 },
        { id: 2, status: 5 },
      ])
    } finally {
      await shell.close()
      await redis.stop()
      await database.close()
      await rm(beginning, { recursive: true, force: true })
    }
  }).timeout(90_000)
})

/** A shell that remembers its folder and its environment, and a server that runs beside it. */
class Shell {
  private server: ReturnType<typeof spawn> | undefined

  constructor(
    public directory: string,
    private readonly environment: Record<string, string>,
  ) {}

  async type(command: string): Promise<string> {
    const [, name, value] = /^export (\w+)=(.*)$/.exec(command) ?? []
    if (name !== undefined) this.environment[name] = value as string
    else if (command === SERVER) await this.serve()
    else return this.run(command)
    return ''
  }

  private async run(command: string): Promise<string> {
    const ended = '--- the folder: '
    const script = `set -e\n${command}\necho; echo "${ended}$PWD"`
    const { stdout } = await promisify(execFile)('bash', ['-c', script], {
      cwd: this.directory,
      env: { ...process.env, ...this.environment },
    })
    const [printed = '', directory = ''] = stdout.split(`\n${ended}`)
    this.directory = directory.trim()
    if (command.startsWith('npm install')) await this.link()
    return printed
  }

  private async serve(): Promise<void> {
    const options = { cwd: this.directory, env: { ...process.env, ...this.environment }, stdio: 'ignore' as const }
    this.server = dieWithTests(spawn(process.execPath, SERVER.split(' ').slice(1), options))
    await waitUntil(() => fetch(`http://127.0.0.1:${this.environment.PORT}/`), { within: 20_000 })
  }

  private async link(): Promise<void> {
    const modules = join(this.directory, 'node_modules')
    await mkdir(join(modules, '.bin'), { recursive: true })
    for (const name of MODULES) {
      await symlink(name === 'express-order-timers' ? root : join(root, 'node_modules', name), join(modules, name)).catch(() => {})
    }
    await symlink(join(root, 'dist/esm/cli/main.js'), join(modules, '.bin', 'order-timers')).catch(() => {})
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.server?.once('exit', resolve))
    this.server?.kill('SIGTERM')
    await ended
  }
}

/** The command with this test's servers, and without the network. */
function here(command: string, servers: Record<string, string>): string {
  const [, name = ''] = /^export (\w+)=/.exec(command) ?? []
  if (servers[name] !== undefined) return `export ${name}=${servers[name]}`
  if (command.startsWith('npm install ')) {
    for (const wanted of command.split(' ').slice(2)) assert.ok(MODULES.includes(wanted), command)
    return 'npm install --offline --ignore-scripts'
  }
  return command
}

/** Each command of a console, with what it prints. */
function typedIn({ text }: Block): [command: string, printed: string][] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)])
}

/** Output without what differs from one time to another. */
function alike(output: string): string {
  return output
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/[+-]?[\d.]+ (?:ms|s|min)\b/g, 'SPAN')
    .replace(/\b\d+ %/g, 'SHARE')
    .replace(/^(?=worker )(\S+) +\S+/gm, '$1  PROCESS')
    .replace(/ {2,}/g, '  ')
    .trimEnd()
}

/** A folder with `curl`, where the machine has none: what the page asks of it. */
async function programs(directory: string): Promise<string> {
  const folder = join(directory, 'bin')
  await mkdir(folder)
  const found = await promisify(execFile)('curl', ['--version']).then(
    () => true,
    () => false,
  )
  if (!found) {
    const script = `#!${process.execPath}
const url = process.argv.find((word) => /^[\\w.]+:\\d+/.test(word))
fetch('http://' + url, { method: process.argv.includes('POST') ? 'POST' : 'GET' }).then(async (answer) => process.stdout.write(await answer.text()))
`
    await writeFile(join(folder, 'curl'), script)
    await chmod(join(folder, 'curl'), 0o755)
  }
  return folder
}
