// Finds the programs of the system that set-up needs, Redis, for the pages' tests a browser, for those of topologies PgBouncer and for the checks
// a linter of Lua, and installs what is missing where it may.
// It never starts, stops or changes a service: of Debian's Redis it installs redis-tools, which holds the server's binary and no service, and
// of Debian's PgBouncer it unpacks the binary.

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { cache, findOnPath } from './paths.mjs'
import { attempt, once, SetupError, say } from './processes.mjs'

const LUAROCKS = 'luarocks install luacheck'

const installLines = {
  'apt-get': {
    prometheus: 'apt-get install prometheus',
    redis: 'apt-get install redis-server',
    browser: 'apt-get install chromium',
    pgbouncer: 'apt-get install pgbouncer',
    php: 'apt-get install php-cli php-redis',
    luacheck: 'apt-get install lua-check',
  },
  brew: {
    prometheus: 'brew install prometheus',
    redis: 'brew install redis',
    browser: 'brew install --cask chromium',
    pgbouncer: 'brew install pgbouncer',
    php: 'brew install php && pecl install redis',
    luacheck: 'brew install luacheck',
  },
  dnf: {
    prometheus: 'dnf install prometheus',
    redis: 'dnf install redis',
    browser: 'dnf install chromium',
    pgbouncer: 'dnf install pgbouncer',
    php: 'dnf install php-cli php-pecl-redis6',
    luacheck: LUAROCKS,
  },
  apk: {
    prometheus: 'apk add prometheus',
    redis: 'apk add redis',
    browser: 'apk add chromium',
    pgbouncer: 'apk add pgbouncer',
    luacheck: LUAROCKS,
  },
  pacman: { prometheus: 'pacman -S prometheus', redis: 'pacman -S valkey', browser: 'pacman -S chromium', luacheck: 'pacman -S luacheck' },
  zypper: {
    prometheus: 'zypper install golang-github-prometheus-prometheus',
    redis: 'zypper install redis',
    browser: 'zypper install chromium',
    pgbouncer: 'zypper install pgbouncer',
    luacheck: LUAROCKS,
  },
}

/** The path of a redis-server or valkey-server; undefined where there is none, none may be installed, and it is optional. */
export async function ensureRedis({ optional }) {
  if (process.env.REDIS_SERVER) {
    if (existsSync(process.env.REDIS_SERVER)) return process.env.REDIS_SERVER
    throw new SetupError(`REDIS_SERVER is "${process.env.REDIS_SERVER}", and there is no such file`)
  }
  let path
  await once(
    async () => {
      path = await findRedis()
      return path !== undefined
    },
    async () => {
      await install({ name: 'Redis', apt: 'redis-tools', brew: 'redis' })
      path = await findRedis()
    },
  )
  if (path !== undefined || optional) return path
  throw new SetupError(`redis-server (or valkey-server) is needed and could not be installed. Install it with

    ${installLine('redis')}

or set REDIS_URL to a Redis of yours, and run the same command again.`)
}

async function findRedis() {
  const server = findOnPath('redis-server', 'valkey-server')
  if (server !== undefined) return server
  const checker = findOnPath('redis-check-rdb', 'valkey-check-rdb')
  return checker === undefined ? undefined : linkToServer(checker)
}

/** Redis's server and its file checker are one binary that goes by the name it is called with. */
async function linkToServer(checker) {
  const folder = join(cache, 'bin')
  const link = join(folder, 'redis-server')
  if (!existsSync(link)) {
    mkdirSync(folder, { recursive: true })
    rmSync(link, { force: true })
    symlinkSync(checker, link)
  }
  const { status, output } = await attempt(link, ['--version'])
  return status === 0 && /server v=/.test(output) ? link : undefined
}

/** The path of a PgBouncer, with the libraries that it lacks beside it; undefined where there is none. */
export async function ensurePgBouncer() {
  if (process.env.PGBOUNCER) return process.env.PGBOUNCER
  const unpacked = join(cache, 'pgbouncer', 'pgbouncer')
  const find = () => findOnPath('pgbouncer') ?? ['/usr/sbin/pgbouncer', unpacked].find((path) => existsSync(path))
  if (find() === undefined && isDebian()) await once(() => find() !== undefined, unpackPgBouncer)
  if (find() === undefined)
    say(`no PgBouncer was found, so its test will be skipped; install it with: ${installLine('pgbouncer')}, or set PGBOUNCER to its path`)
  return find()
}

/** Debian's package starts a service where it is installed. */
async function unpackPgBouncer() {
  say('unpacking PgBouncer (apt-get download pgbouncer) …')
  const directory = mkdtempSync(join(tmpdir(), 'express-order-timers-'))
  try {
    const { output } = await attempt('apt-cache', ['depends', 'pgbouncer'])
    const libraries = output.match(/(?<=Depends: )lib(?:c-ares|event)\S+/g) ?? []
    if (!(await download(['pgbouncer', ...libraries], directory))) return
    for (const file of readdirSync(directory)) await attempt('dpkg-deb', ['-x', join(directory, file), directory])
    const found = readdirSync(directory, { recursive: true }).filter((path) => /sbin\/pgbouncer$|\/lib[^/]+\.so\.\d+$/.test(path))
    rmSync(join(cache, 'pgbouncer'), { recursive: true, force: true })
    mkdirSync(join(cache, 'pgbouncer'), { recursive: true })
    // The binary last: what is there is whole.
    for (const path of found.sort((a, b) => Number(/pgbouncer$/.test(a)) - Number(/pgbouncer$/.test(b))))
      copyFileSync(join(directory, path), join(cache, 'pgbouncer', basename(path)))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function download(packages, directory) {
  const command = ['apt-get', ['-qq', 'download', ...packages], { cwd: directory }]
  if ((await attempt(...command)).status === 0) return true
  const root = await asRoot()
  if (root === undefined) return false
  const [first, ...rest] = [...root, 'apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=300', 'update']
  await attempt(first, rest)
  const { status, output } = await attempt(...command)
  if (status !== 0) say(`apt-get download ${packages[0]} failed (${status}):\n${output.trimEnd()}`)
  return status === 0
}

/** The path of a PHP with phpredis, by which a service that is not Node sets keys; undefined where there is none. */
export async function ensurePhp() {
  if (process.env.PHP) return process.env.PHP
  let path
  const find = async () => {
    path = findOnPath('php')
    if (path !== undefined && (await attempt(path, ['-r', 'exit(extension_loaded("redis") ? 0 : 1);'])).status !== 0) path = undefined
    return path !== undefined
  }
  await once(find, () => install({ name: 'PHP with phpredis', apt: ['php-cli', 'php-redis'] }))
  if (!(await find()))
    say(`no PHP with phpredis was found, so its test will be skipped; install it with: ${installLine('php')}, or set PHP to its path`)
  return path
}

/** The path of luacheck, the linter of Lua. npm has no linter of Lua that is maintained and finds unknown globals. */
export async function ensureLuacheck() {
  if (process.env.LUACHECK) return process.env.LUACHECK
  await once(
    async () => findOnPath('luacheck') !== undefined,
    () => install({ name: 'luacheck', apt: 'lua-check', brew: 'luacheck' }),
  )
  const path = findOnPath('luacheck')
  if (path !== undefined) return path
  throw new SetupError(`luacheck is needed and could not be installed. Install it with

    ${installLine('luacheck')}

or set LUACHECK to its path, and run the same command again.`)
}

/** The path of a Chromium or Chrome, or undefined. */
export async function ensureBrowser() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM
  let path = findBrowser()
  if (path !== undefined) return path
  if (isDebian()) {
    await once(
      async () => findBrowser() !== undefined,
      () => install({ name: 'Chromium', apt: 'chromium' }),
    )
    path = findBrowser()
  }
  if (path === undefined)
    say(`no Chromium or Chrome on the PATH, so the page's test will be skipped; install it with: ${installLine('browser')}`)
  return path
}

/**
 * The folder of `prometheus` and `promtool`. On Debian the package is unpacked into the cache and not installed, since its installation starts a service.
 */
export async function ensurePrometheus() {
  if (process.env.PROMETHEUS_BIN) return process.env.PROMETHEUS_BIN
  const unpacked = join(cache, 'prometheus')
  const folders = () => [unpacked, dirname(findOnPath('promtool') ?? '')]
  const find = () => folders().find((path) => existsSync(join(path, 'prometheus')) && existsSync(join(path, 'promtool')))
  if (find() === undefined && isDebian()) await once(() => find() !== undefined, unpackPrometheus)
  const folder = find()
  if (folder !== undefined) return folder
  throw new SetupError(`Prometheus is needed for these tests and could not be fetched. Install it with

    ${installLine('prometheus')}

or set PROMETHEUS_BIN to the folder of prometheus and promtool, and run the same command again.`)
}

async function unpackPrometheus() {
  say('unpacking Prometheus (apt-get download prometheus) …')
  const directory = mkdtempSync(join(tmpdir(), 'express-order-timers-'))
  try {
    if (!(await download(['prometheus'], directory))) return
    for (const file of readdirSync(directory)) await attempt('dpkg-deb', ['-x', join(directory, file), directory])
    mkdirSync(join(cache, 'prometheus'), { recursive: true })
    for (const name of ['promtool', 'prometheus']) copyFileSync(join(directory, 'usr', 'bin', name), join(cache, 'prometheus', name))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Whether the browser has a font for Chinese; on Debian a small one is installed, so that the page is not shown as boxes. */
export async function ensureChineseFont() {
  if (process.platform === 'darwin') return true
  if (await hasChineseFont()) return true
  if (isDebian()) await once(hasChineseFont, () => install({ name: 'a Chinese font', apt: 'fonts-wqy-microhei' }))
  if (await hasChineseFont()) return true
  say('no font for Chinese was found, so the page shows boxes and one of its tests will be skipped')
  return false
}

async function hasChineseFont() {
  if (findOnPath('fc-list') === undefined) return false
  const { status, output } = await attempt('fc-list', [':lang=zh-tw'])
  return status === 0 && output.trim() !== ''
}

function findBrowser() {
  const app = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
  return findOnPath('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable') ?? (existsSync(app) ? app : undefined)
}

/** Ubuntu's package of the same name is an empty shell around a snap. */
function isDebian() {
  return existsSync('/etc/os-release') && /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'))
}

async function install({ name, apt, brew }) {
  if (apt !== undefined && findOnPath('apt-get') !== undefined) return installByApt(name, apt)
  if (brew !== undefined && process.platform === 'darwin' && findOnPath('brew') !== undefined) {
    say(`installing ${name} (brew install ${brew}) …`)
    await tryToInstall('brew', ['install', brew])
  }
}

async function installByApt(name, apt) {
  const root = await asRoot()
  if (root === undefined) return
  const packages = [apt].flat()
  say(`installing ${name} (apt-get install ${packages.join(' ')}) …`)
  const [command, ...args] = [...root, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=300']
  await attempt(command, [...args, 'update'])
  await tryToInstall(command, [...args, 'install', '-y', '--no-install-recommends', ...packages])
}

async function tryToInstall(command, args) {
  const { status, output } = await attempt(command, args)
  if (status !== 0) say(`${command} ${args.join(' ')} failed (${status}):\n${output.trimEnd()}`)
}

/** What a command must begin with to run as root without a question, or undefined. */
async function asRoot() {
  if (process.getuid?.() === 0) return []
  if (findOnPath('sudo') === undefined) return undefined
  return (await attempt('sudo', ['-n', 'true'])).status === 0 ? ['sudo', '-n'] : undefined
}

function installLine(what) {
  const manager = Object.keys(installLines).find((name) => findOnPath(name) !== undefined && installLines[name][what] !== undefined)
  if (manager === undefined) return `your system's package manager (${installLines['apt-get'][what]})`
  const needsRoot = manager !== 'brew' && process.getuid?.() !== 0
  return `${needsRoot ? 'sudo ' : ''}${installLines[manager][what]}`
}
