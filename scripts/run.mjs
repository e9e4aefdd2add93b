// Sets everything up, starts servers for one job, runs it, and stops them:
//   node scripts/run.mjs mocha                          the core's tests, in five processes at once, with servers for each
//   node scripts/run.mjs mocha:operations               the tests of a group beside the core (GROUPS), likewise
//   node scripts/run.mjs mocha [arguments]              tests as mocha's arguments say
//   node scripts/run.mjs <script.ts> [arguments]        the demo, a bench
// The job finds its servers in REDIS_URL and DATABASE_URL; for servers of its own REDIS_SERVER, POSTGRES_BIN and, under root, POSTGRES_UID
// and POSTGRES_GID.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { project } from './paths.mjs'
import { exitWith, SetupError } from './processes.mjs'
import { setUp } from './setup.mjs'

const [job, ...args] = process.argv.slice(2)

/** Files of tests that run beside all the others, each group in a process of its own. Each takes about as long, nearly all of it waiting. */
const BESIDE = [
  'test/{book/*,faults/redis-*}.test.ts',
  'test/{faults/!(redis-*),life/*}.test.ts',
  'test/{cli,worker}/**/*.test.ts',
  'test/{auto,redis,rows,rules,sequelize}/**/*.test.ts',
]

/** Tests that are not of the core, by the name that follows `mocha:`. Each line runs in a process of its own. */
const GROUPS = {
  operations: [
    'test/operations/@(chaos|rolling-restarts).test.ts',
    'test/operations/incidents.test.ts',
    'test/operations/{!(chaos|rolling-restarts|incidents),*/**/*}.test.ts',
  ],
  package: ['test/package/*.test.ts'],
  pages: ['test/pages/shop.test.ts', 'test/pages/!(shop).test.ts'],
  topologies: [
    'test/topologies/sentinel.test.ts',
    'test/topologies/@(chaos|cluster-idle).test.ts',
    'test/topologies/!(sentinel|chaos|cluster-idle).test.ts',
  ],
}

const apart = Object.values(GROUPS).flat()
const ignoring = (files) => files.flatMap((file) => ['--ignore', file])

/** Arguments of mocha, a process each, by the job's name. */
const PARTS = {
  mocha: [ignoring([...apart, ...BESIDE]), ...BESIDE.map((files) => ['--spec', files])],
  ...Object.fromEntries(Object.entries(GROUPS).map(([name, lines]) => [`mocha:${name}`, lines.map((files) => ['--spec', files])])),
}

/** Settings of the tests' Postgres: its data end with it, and all of its servers' data are in memory. */
const OF_TESTS = ['fsync=off', 'full_page_writes=off', 'synchronous_commit=off', 'max_wal_size=128MB', 'min_wal_size=32MB']

main().then((status) => process.exit(status), exitWith)

async function main() {
  if (job === undefined) throw new SetupError('say what to run: node scripts/run.mjs mocha, or the path of a script')
  const forTests = isTests(job)
  const forTopologies = [job, ...args].some((text) => /topologies/.test(text))
  const found = await setUp({ forTests, forTopologies, forBench: job === 'bench/main.ts' })
  if (!forTests) return runWithServers(found, ['--import', 'tsx', job, ...args])
  const mocha = join(project, 'node_modules', 'mocha', 'bin', 'mocha.js')
  // Tests of one part may count what comes over a server: with servers that are given, all run one after the other.
  const given = process.env.REDIS_URL || process.env.DATABASE_URL
  if (args.length > 0 || given) return runWithServers(found, [mocha, ...args])
  const [shown, ...others] = PARTS[job].map((part) => [mocha, ...part])
  const outputs = others.map(() => [])
  const ports = portRanges(1 + others.length)
  const kept = others.map((command, i) => runWithServers(found, command, { ports: ports[i + 1], keep: (chunk) => outputs[i].push(chunk) }))
  const statuses = await Promise.all([runWithServers(found, shown, { ports: ports[0] }), ...kept])
  process.stdout.write(Buffer.concat(outputs.flat()))
  return Math.max(...statuses)
}

function isTests(job) {
  return job in PARTS
}

/** Ranges of ports for the servers of so many processes' tests: below those that the system gives out, and seldom those of another run. */
function portRanges(count) {
  const size = 700
  const first = 10_000 + Math.floor(Math.random() * (22_000 - count * size))
  return Array.from({ length: count }, (_, i) => `${first + i * size}-${first + (i + 1) * size - 1}`)
}

/** Resolves to the exit status. @param keep takes the output, which is shown without it */
async function runWithServers(found, command, { ports, keep } = {}) {
  const servers = await startServers(found)
  try {
    return await runJob(
      command,
      {
        ...process.env,
        ...(found.redis && { REDIS_SERVER: found.redis }),
        ...(found.browser && { CHROMIUM: found.browser }),
        ...(found.font && { CJK_FONT: '1' }),
        ...(found.pgbouncer && { PGBOUNCER: found.pgbouncer }),
        ...(found.php && { PHP: found.php }),
        ...(found.programs && { TEST_PROGRAMS: found.programs }),
        ...(ports && { TEST_PORTS: ports }),
        ...servers.environment,
      },
      keep,
    )
  } finally {
    await servers.stop()
  }
}

async function startServers({ redis, postgres }) {
  const forTests = isTests(job)
  const runsTests = forTests || job === 'chaos/mutants/main.ts'
  const wanted = {
    redis: process.env.REDIS_URL || redis === undefined ? undefined : { binary: redis },
    postgres: { ...postgres, ...(runsTests && { forTests: true, options: OF_TESTS }) },
  }
  if (wanted.redis === undefined && postgres.bin === undefined) return { environment: {}, stop() {} }

  const owner = spawn(process.execPath, [join(project, 'scripts', 'servers.mjs'), JSON.stringify(wanted)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  const ended = once(owner, 'exit')
  const stop = async () => {
    owner.stdin.end()
    await ended
  }
  const lines = createInterface({ input: owner.stdout })
  const [line] = await Promise.race([once(lines, 'line'), ended.then(() => ['{"problem":"the servers\' process ended"}'])])
  const { environment, problem } = JSON.parse(line)
  // The demo empties its Redis to show what that does. Tests share theirs.
  const ours = wanted.redis !== undefined && !forTests
  if (problem === undefined) return { environment: { ...environment, ...(ours && { REDIS_IS_OURS: '1' }) }, stop }
  await stop()
  throw new SetupError(problem)
}

/** Resolves to the job's exit status, as a shell counts it. A signal is passed on, and a job that does not end by it is killed. */
async function runJob(command, env, keep) {
  const child = spawn(process.execPath, command, { cwd: project, env, stdio: keep ? ['inherit', 'pipe', 'pipe'] : 'inherit' })
  for (const stream of keep ? [child.stdout, child.stderr] : []) stream.on('data', keep)
  const passOn = (signal) => {
    child.kill(signal)
    setTimeout(() => child.kill('SIGKILL'), 15_000).unref()
  }
  // A terminal's Ctrl-C reaches the job by itself, and a second one would cut its own ending short.
  process.on('SIGINT', () => (process.stdin.isTTY ? undefined : passOn('SIGINT')))
  process.on('SIGTERM', passOn)
  process.on('SIGHUP', passOn)
  const [code, signal] = await once(child, 'close')
  return code ?? 128 + constants.signals[signal]
}
