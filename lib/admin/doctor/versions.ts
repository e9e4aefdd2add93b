// The versions of what the timers run with: Node, the shop's packages, and the servers.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { byHand, type Check, type Finding, fine, type Remedy, shell, unseen, wrong } from './check.js'

/** The oldest of each major version that is supported; the last one stands for later majors too where `later`. */
interface Supported {
  name: string
  oldest: readonly (readonly [number, number, number?])[]
  later: boolean
}

const PACKAGES: readonly Supported[] = [
  {
    name: 'express',
    oldest: [
      [4, 17],
      [5, 0],
    ],
    later: false,
  },
  {
    name: 'ioredis',
    oldest: [
      [5, 4, 1],
      [6, 0],
    ],
    later: false,
  },
  { name: 'sequelize', oldest: [[6, 21]], later: false },
]
const NODE: Supported = { name: 'node', oldest: [[20, 0]], later: true }
const REDIS: Supported = { name: 'redis', oldest: [[6, 2]], later: true }
const POSTGRES: Supported = { name: 'postgres', oldest: [[14, 0]], later: true }

export const versions: Check = {
  name: 'versions',
  async look({ directory, redis, databases }) {
    const findings = [
      judged(NODE, process.versions.node, byHand('install Node 20 or later')),
      ...PACKAGES.map((one) => judged(one, installed(one.name, directory), shell(`npm install ${one.name}@${newest(one)}`))),
    ]
    if (redis?.info) findings.push(judged(REDIS, redis.info.get('redis_version'), byHand('install Redis 6.2 or later')))
    for (const { server, where } of databases)
      if (server) findings.push(judged(POSTGRES, server.version, byHand(`install Postgres 14 or later at ${where}`)))
    return findings
  },
}

function judged(supported: Supported, version: string | undefined, remedy: Remedy): Finding {
  const name = `versions.${supported.name}`
  const expected = `${supported.oldest.map((one) => one.join('.')).join(' or ')}${supported.later ? ' or later' : ''}`
  if (version === undefined) return unseen(name, { expected, found: 'it is not installed in this folder, nor above it' })
  return isSupported(version, supported) ? fine(name, { expected, found: version }) : wrong(name, { expected, found: version }, remedy)
}

export function isSupported(version: string, { oldest, later }: Pick<Supported, 'oldest' | 'later'>): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  const last = oldest.at(-1)
  if (later && last && major > last[0]) return true
  return oldest.some(([wanted, least, fix = 0]) => major === wanted && (minor > least || (minor === least && patch >= fix)))
}

/** As Node finds it from the shop's folder, or from where this program was started. */
function installed(name: string, directory: string): string | undefined {
  for (const start of [directory, dirname(process.argv[1] ?? directory)])
    for (let folder = start; ; folder = dirname(folder)) {
      const file = join(folder, 'node_modules', name, 'package.json')
      if (existsSync(file)) return String((JSON.parse(readFileSync(file, 'utf8')) as { version?: unknown }).version)
      if (folder === dirname(folder)) break
    }
  return undefined
}

function newest({ oldest }: Supported): string {
  const [major, minor] = oldest.at(-1) ?? [0, 0]
  return `^${major}.${minor}.0`
}
