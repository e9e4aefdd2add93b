// All that is checked without running anything: types, lint, format, import cycles, Lua, sizes, and the package as it would be published.
// Every check is made, and those that failed are shown at the end.

import { readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureBuild } from './build.mjs'
import { ensurePackages, npm } from './packages.mjs'
import { makeTemporaryDirectory, project } from './paths.mjs'
import { attempt, exitWith, run } from './processes.mjs'
import { ensureLuacheck } from './system.mjs'

main().catch(exitWith)

async function main() {
  await ensurePackages()
  await ensurePackages('bench')
  const luacheck = await ensureLuacheck()
  await ensureBuild()
  const directory = makeTemporaryDirectory()
  try {
    const tarball = await pack(directory)
    const node = (path, ...args) => [process.execPath, join(project, 'node_modules', path), ...args]
    const checks = {
      'types (tsc)': node('typescript/bin/tsc', '--noEmit'),
      'types of the example, as a user has them (tsc)': node('typescript/bin/tsc', '--noEmit', '-p', 'example'),
      'lint, format, import cycles (biome)': node('@biomejs/biome/bin/biome', 'ci', '--colors=off', '.'),
      'Lua as it is embedded': [process.execPath, 'scripts/embed-lua.mjs', '--check'],
      'pages as they are embedded': [process.execPath, 'scripts/embed-page.mjs', '--check'],
      'lint of Lua (luacheck)': [process.execPath, 'scripts/lint-lua.mjs', luacheck],
      'sizes of files and of the package': [process.execPath, 'scripts/sizes.mjs', tarball],
      'package (publint)': node('publint/src/cli.js', tarball, '--strict'),
      'package types (attw)': node('@arethetypeswrong/cli/dist/index.js', tarball, '--no-definitely-typed'),
    }
    const results = await Promise.all(Object.entries(checks).map(check))
    if (results.includes(false)) process.exitCode = 1
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function pack(directory) {
  const [command, ...args] = npm()
  await run(command, [...args, 'pack', '--ignore-scripts', '--pack-destination', directory], { cwd: project })
  return join(directory, readdirSync(directory)[0])
}

async function check([name, [command, ...args]]) {
  const { status, output } = await attempt(command, args, { cwd: project, env: { ...process.env, NO_COLOR: '1' } })
  process.stdout.write(status === 0 ? `ok      ${name}\n` : `FAILED  ${name}\n\n${output.trimEnd()}\n\n`)
  return status === 0
}
