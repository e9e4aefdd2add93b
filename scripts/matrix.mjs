// Runs the tests of the core and of the package on the versions of Node, Express, ioredis and Sequelize that the package works with, and prints a table of them:
//   npm run matrix                                   any two versions meet in one of the runs at least: nine runs, each as long as npm test and test:package
//   npm run matrix -- --all                          every combination
//   npm run matrix -- --only node=24 --only express=4.17
//   npm run matrix -- test/timers/*.test.ts          some of the tests alone
// Each result is added to --results FILE (matrix.jsonl), and what the file has is not run again. Exits with 1 if a run failed.
// test/package uses the packed tarball as an ES module, as CommonJS, bundled, and with each TypeScript.

import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { npm } from './packages.mjs'
import { cache, project } from './paths.mjs'
import { attempt, exitWith, run, SetupError, say } from './processes.mjs'

const VERSIONS = {
  node: ['20.20.2', '22.23.5', '24.22.3'],
  express: ['4.17.0', '4.22.3', '5.3.0'],
  ioredis: ['5.4.1', '5.11.1', '6.0.0'],
  sequelize: ['6.21.0', '6.37.8'],
}
const NAMES = Object.keys(VERSIONS)
const QUIET = ['--no-audit', '--no-fund', '--prefer-offline']

main().catch(exitWith)

async function main() {
  const { values, positionals: files } = parseArgs({
    allowPositionals: true,
    options: { all: { type: 'boolean' }, only: { type: 'string', multiple: true, default: [] }, results: { type: 'string' } },
  })
  const only = values.only.map(parseOnly)
  const wanted = every(NAMES)
  const asked = (values.all ? wanted : pairs(wanted)).filter((one) => only.every(({ name, version }) => one[name].startsWith(version)))
  if (asked.length === 0) throw new SetupError(`none of the runs has ${values.only.join(' and ')}; --all has every combination`)
  const path = values.results ?? join(project, 'matrix.jsonl')
  const results = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n').map(JSON.parse) : []
  // Outside of any node_modules, below which TypeScript takes no file for CommonJS; each checkout has a copy of its own.
  const copy = join(tmpdir(), `order-timers-matrix-${createHash('sha256').update(project).digest('hex').slice(0, 8)}`)
  for (const [i, versions] of asked.entries()) {
    if (results.some((result) => isSame(result, versions))) continue
    say(`run ${i + 1} of ${asked.length}: ${NAMES.map((name) => `${name} ${versions[name]}`).join(', ')}`)
    const result = { ...versions, ...(await test(copy, versions, files)) }
    results.push(result)
    appendFileSync(path, `${JSON.stringify(result)}\n`)
  }
  const shown = asked.map((versions) => results.find((result) => isSame(result, versions)))
  process.stdout.write(table(shown))
  process.exitCode = shown.every(({ status }) => status === 0) ? 0 : 1
}

function parseOnly(text) {
  const [, name, version] = /^(\w+)=([\d.]+)$/.exec(text) ?? []
  if (!VERSIONS[name]?.some((one) => one.startsWith(version)))
    throw new SetupError(`--only ${text}: write one of ${NAMES.map((each) => `${each}=${VERSIONS[each].join('|')}`).join(', ')}`)
  return { name, version }
}

/** All combinations, the newest versions first. */
function every([name, ...others]) {
  if (name === undefined) return [{}]
  return VERSIONS[name].toReversed().flatMap((version) => every(others).map((rest) => ({ [name]: version, ...rest })))
}

/** Of these combinations so few that any two versions are still in one of them together: each time the one with the most new pairs. */
function pairs(combinations) {
  const pairsOf = (one) => NAMES.flatMap((a, i) => NAMES.slice(i + 1).map((b) => `${a} ${one[a]} ${b} ${one[b]}`))
  const missing = new Set(combinations.flatMap(pairsOf))
  const chosen = []
  while (missing.size > 0) {
    const gain = (one) => pairsOf(one).filter((pair) => missing.has(pair)).length
    const best = combinations.reduce((a, b) => (gain(b) > gain(a) ? b : a))
    for (const pair of pairsOf(best)) missing.delete(pair)
    chosen.push(best)
  }
  return chosen
}

function isSame(a, b) {
  return NAMES.every((name) => a[name] === b[name])
}

/** The tests in a copy of the project that has these versions. */
async function test(copy, versions, files) {
  await copyProject(copy)
  const [command, ...args] = npm()
  const packages = ['express', 'ioredis', 'sequelize'].map((name) => `${name}@${versions[name]}`)
  const node = await installNode(versions.node)
  await run(command, [...args, 'install', ...QUIET, '--legacy-peer-deps', '--save-dev', '--save-exact', ...packages], { cwd: copy })
  const env = { ...process.env, REDIS_URL: '', DATABASE_URL: '', PATH: `${dirname(node)}:${process.env.PATH}` }
  const jobs = files.length > 0 ? [['mocha', ...files]] : [['mocha'], ['mocha:package']]
  let status = 0
  let output = ''
  for (const job of jobs) {
    const ended = await attempt(node, ['scripts/run.mjs', ...job], { cwd: copy, env })
    if (ended.status !== 0) process.stderr.write(`${ended.output.trimEnd()}\n`)
    status ||= ended.status
    output += ended.output
  }
  const count = (word) => [...output.matchAll(new RegExp(`^ *(\\d+) ${word}`, 'gm'))].reduce((sum, [, number]) => sum + Number(number), 0)
  return { status, passing: count('passing'), failing: count('failing'), pending: count('pending') }
}

/** Of the files that Git knows, and keeps the packages that are there. */
async function copyProject(copy) {
  const listed = await run('git', ['ls-files', '-z'], { cwd: project })
  const kept = listed.split('\0').filter((path) => path !== '' && existsSync(join(project, path)))
  for (const folder of ['lib', 'test', 'chaos', 'bench', 'example', 'docs', 'scripts', 'dist'])
    await rm(join(copy, folder), { recursive: true, force: true })
  for (const path of kept) await cp(join(project, path), join(copy, path))
}

/** Resolves to the path of this version's program. */
async function installNode(version) {
  if (version === process.versions.node) return process.execPath
  const folder = join(cache, `node-${version}`)
  const name = `node-${process.platform}-${process.arch}`
  const program = join(folder, 'node_modules', name, 'bin', 'node')
  if (existsSync(program)) return program
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n')
  const [command, ...args] = npm()
  await run(command, [...args, 'install', ...QUIET, '--save-exact', `${name}@${version}`], { cwd: folder })
  return program
}

function table(results) {
  const head = ['Node', 'Express', 'ioredis', 'Sequelize', 'Tests passed', 'failed']
  const rows = results.map((result) => [...NAMES.map((name) => result[name]), result.passing, result.failing])
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}
