// A process that owns the servers of one run. It starts what its argument asks for, prints one line of JSON with how to reach them, and
// stops them and removes their files when its stdin ends: so they go even when the run itself was killed.
// It stops only processes that it started.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { makeDataDirectory, makeTemporaryDirectory } from './paths.mjs'
import { binFor, postgresServer, postgresUser } from './postgres.mjs'
import { SetupError } from './processes.mjs'
import { redisServer } from './redis.mjs'

const readyWithinMs = 30_000
const children = new Set()
let stopping = false

const { redis, postgres } = JSON.parse(process.argv[2])
const directory = makeTemporaryDirectory()
const dataDirectory = postgres.forTests ? makeDataDirectory() : directory

process.stdin.resume()
process.stdin.once('end', stop)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)

const started = start()
started.then(
  (environment) => report({ environment }),
  (error) => report({ problem: error instanceof SetupError ? error.message : error.stack }),
)

function report(outcome) {
  if (!stopping) process.stdout.write(`${JSON.stringify(outcome)}\n`)
}

async function start() {
  const bin = postgres.bin && (await binFor(postgres.bin, directory))
  const user = await postgresUser()
  const [redisUrl, databaseUrl] = await Promise.all([
    redis && startServer(redisServer({ binary: redis.binary, directory })),
    postgres.template && startServer(await postgresServer({ ...postgres, bin, directory: dataDirectory })),
  ])
  return {
    ...(bin && { POSTGRES_BIN: bin }),
    ...(bin && user && { POSTGRES_UID: String(user.uid), POSTGRES_GID: String(user.gid) }),
    ...(redisUrl && { REDIS_URL: redisUrl }),
    ...(databaseUrl && { DATABASE_URL: databaseUrl, POSTGRES_TEMPLATE: postgres.template, POSTGRES_DATA: dataDirectory }),
  }
}

/** Somebody else may take the free port before the server does; then it tries another. */
async function startServer(server, triesLeft = 5) {
  const port = await freePort()
  const logFile = join(directory, `${server.name}-${port}.log`)
  const log = openSync(logFile, 'w')
  const child = spawn(server.command, server.args(port), { ...server.options, stdio: ['ignore', log, log] })
  closeSync(log)
  child.stopSignal = server.stopSignal
  let failure
  child.once('error', (error) => {
    failure = error
  })
  child.once('exit', () => children.delete(child))
  if (child.pid !== undefined) children.add(child)

  const deadline = Date.now() + readyWithinMs
  for (;;) {
    if (stopping) throw new SetupError('stopped')
    const hasEnded = failure !== undefined || child.exitCode !== null || child.signalCode !== null
    const said = readFileSync(logFile, 'utf8')
    if (hasEnded && triesLeft > 1 && /address already in use/i.test(said)) return startServer(server, triesLeft - 1)
    if (hasEnded || Date.now() > deadline) {
      const end = said.trimEnd().split('\n').slice(-20).join('\n')
      throw new SetupError(`${server.name} did not start. It said:\n\n${failure?.message ?? end}`)
    }
    // An answer on the port would not do: another's server may have taken it, and would end with that one's run.
    if (server.isReady(said)) return server.url(port)
    await delay(15)
  }
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

async function stop() {
  if (stopping) return
  stopping = true
  await Promise.all([...children].map(stopServer))
  await started.catch(() => {})
  await Promise.all([...children].map(stopServer))
  for (const path of [directory, dataDirectory]) rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  process.exit(0)
}

async function stopServer(child) {
  const ended = once(child, 'exit')
  child.kill(child.stopSignal)
  child.kill('SIGCONT')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
  await ended
  clearTimeout(timer)
}
