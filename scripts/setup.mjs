// All that must be there before a job can run: packages, Redis, Postgres, the build, and for the tests a browser.
// On a fresh clone it makes them, and otherwise only looks.

import { ensureBuild } from './build.mjs'
import { embedLua } from './embed-lua.mjs'
import { embedPage } from './embed-page.mjs'
import { ensurePackages } from './packages.mjs'
import { ensureTemplate, findPostgres } from './postgres.mjs'
import { SetupError } from './processes.mjs'
import { ensurePrograms } from './programs.mjs'
import { ensureBrowser, ensureChineseFont, ensurePgBouncer, ensurePhp, ensureRedis } from './system.mjs'

/** Resolves to what the servers are started from. A server whose URL is given is not. */
export async function setUp({ forTests, forTopologies = false, forBench = false }) {
  const { REDIS_URL, DATABASE_URL } = process.env
  checkPlatform(REDIS_URL, DATABASE_URL)
  await ensurePackages()
  const redis = REDIS_URL && !forTests ? undefined : await ensureRedis({ optional: Boolean(REDIS_URL) })
  const browser = forTests ? await ensureBrowser() : undefined
  const font = browser !== undefined && (await ensureChineseFont())
  const pgbouncer = forTopologies ? await ensurePgBouncer() : undefined
  const php = forTopologies || forBench ? await ensurePhp() : undefined
  const bin = DATABASE_URL && !forTests ? undefined : findPostgres()
  const template = DATABASE_URL ? undefined : await ensureTemplate(bin)
  embedLua()
  embedPage()
  await ensureBuild()
  const programs = forTests ? await ensurePrograms() : undefined
  return { redis, browser, font, pgbouncer, php, programs, postgres: { bin, template } }
}

function checkPlatform(redisUrl, databaseUrl) {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 20) throw new SetupError(`Node 20 or later is needed, and this is ${process.version}`)
  if (process.platform === 'win32' && !(redisUrl && databaseUrl)) {
    throw new SetupError(`on Windows no servers can be set up: there is no Redis for it.
Use WSL, or set REDIS_URL and DATABASE_URL to servers of yours (the tests that start servers themselves do not run on Windows at all).`)
  }
}
