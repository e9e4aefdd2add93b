// Installs the locked packages where they are missing or differ from package-lock.json.
// npm keeps what it installed in node_modules/.package-lock.json, so the two locks are compared and no stamp is needed.

import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { project } from './paths.mjs'
import { once, run, say } from './processes.mjs'

/** In the project itself, or in a folder of it that has a package-lock.json of its own. */
export function ensurePackages(folder = '.') {
  return once(
    () => areInstalled(folder),
    async () => {
      say(`installing the locked packages${folder === '.' ? '' : ` of ${folder}/`} (npm ci) …`)
      const [command, ...args] = npm()
      await run(command, [...args, 'ci', '--no-audit', '--no-fund', '--include=dev', '--include=optional'], { cwd: join(project, folder) })
    },
  )
}

/** The npm that started this process, otherwise the one on the PATH. */
export function npm() {
  const started = process.env.npm_execpath
  return started !== undefined && basename(started) === 'npm-cli.js' ? [process.execPath, started] : ['npm']
}

function areInstalled(folder) {
  const locked = readLock(join(folder, 'package-lock.json'))
  const installed = readLock(join(folder, 'node_modules', '.package-lock.json'))
  const names = Object.keys(locked).filter((name) => name !== '')
  return names.every((name) => isAsLocked(locked[name], installed[name])) && Object.keys(installed).every((name) => name in locked)
}

/** Optional packages are absent where they are for another platform. */
function isAsLocked(locked, installed) {
  if (installed === undefined) return locked.optional === true
  return installed.version === locked.version && installed.integrity === locked.integrity
}

function readLock(path) {
  try {
    return JSON.parse(readFileSync(join(project, path), 'utf8')).packages
  } catch {
    return {}
  }
}
