// Where set-up finds and puts things: the project, its cache inside node_modules, and temporary directories.
// A temporary directory can be entered by every user, because Postgres refuses to run as root.

import { accessSync, chmodSync, constants, existsSync, mkdtempSync, realpathSync, statfsSync, statSync } from 'node:fs'
import { freemem, tmpdir } from 'node:os'
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
  return makeDirectoryIn(parents.find(isOpenToAll) ?? tmpdir())
}

const MEMORY = '/dev/shm'

/** A directory for data alone, in memory where there is room: programs may not be started from there. */
export function makeDataDirectory() {
  return hasRoom(MEMORY) ? makeDirectoryIn(MEMORY) : makeTemporaryDirectory()
}

/** For the data of all servers of the tests, which are less than one GB. */
function hasRoom(path) {
  try {
    accessSync(path, constants.W_OK)
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize > 4e9 && freemem() > 4e9
  } catch {
    return false
  }
}

function makeDirectoryIn(parent) {
  const path = mkdtempSync(join(parent, 'express-order-timers-'))
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
