// Where set-up finds and puts things: the project, its cache inside node_modules, and temporary directories.
// A temporary directory can be entered by every user, because Postgres refuses to run as root.

import { accessSync, chmodSync, constants, existsSync, mkdtempSync, realpathSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const project = dirname(dirname(fileURLToPath(import.meta.url)))
export const cache = join(project, 'node_modules', '.cache', 'express-order-timers')

/** The first of these commands that the PATH knows. */
export function findOnPath(...names) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable)
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

export function makeTemporaryDirectory() {
  const parents = [tmpdir(), '/tmp', '/var/tmp'].filter((path) => existsSync(path))
  const path = mkdtempSync(join(parents.find(isOpenToAll) ?? tmpdir(), 'express-order-timers-'))
  chmodSync(path, 0o711)
  return path
}

/** Whether every user may pass through all the folders down to this path, and read it. */
export function isOpenToAll(path) {
  const real = realpathSync(path)
  for (let folder = dirname(real); folder !== dirname(folder); folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
  }
  const { mode } = statSync(real)
  return (mode & 0o004) !== 0 && (!statSync(real).isDirectory() || (mode & 0o001) !== 0)
}
