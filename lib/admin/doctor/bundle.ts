// What a bug report may carry: the diagnosis and the declared rules, without hosts, addresses, users, prefixes, ids of orders and texts of the shop's own
// errors. Names of tables, columns and rules stay, since nothing could be understood without them.

import { arch, hostname, platform, release } from 'node:os'
import { addressesOf, optionsOfEach } from '../../redis/primaries.js'
import type { SeenProcess } from '../../redis/process-records.js'
import type { Runtime } from '../../timers/runtime.js'
import { VERSION } from '../../version.js'
import { livingProcesses } from '../processes.js'
import type { Finding } from './check.js'
import type { Diagnosis } from './doctor.js'

export interface Bundle {
  version: string
  madeAt: string
  node: string
  system: string
  counts: Diagnosis['counts']
  rules: { kind: string; form: string | undefined; fingerprint: string | undefined }[]
  findings: Finding[]
}

/** Never rejects. */
export async function bundleOf(runtime: Runtime, { counts, findings }: Diagnosis): Promise<Bundle> {
  const { processes } = await livingProcesses(runtime)
  const redact = redactor(privateTexts(runtime, processes))
  const { fingerprints } = runtime
  return {
    version: VERSION,
    madeAt: new Date().toISOString(),
    node: process.versions.node,
    system: `${platform()} ${release()} ${arch()}`,
    counts,
    rules: runtime.kinds.map((kind) => ({ kind, form: runtime.form(kind), fingerprint: fingerprints[kind] })),
    findings: findings.map((finding) => shareable(finding, redact)),
  }
}

function shareable({ shared, ...finding }: Finding, redact: (text: string) => string): Finding {
  // If a finding contains ids, its remedies do too.
  const remedies = finding.remedies.map(({ in: place, text }) => ({ in: place, text: shared === undefined ? redact(text) : '…' }))
  return { ...finding, expected: redact(finding.expected), found: redact(shared ?? finding.found), remedies }
}

/** Texts and their replacements. */
function privateTexts(runtime: Runtime, processes: readonly Pick<SeenProcess, 'host' | 'redis'>[]): Map<string, string> {
  const texts = new Map<string, string>()
  const hide = (text: unknown, as: string) => {
    if (typeof text === 'string' && text.length > 1 && !texts.has(text)) texts.set(text, as)
  }
  const hosts = new Set([hostname(), ...processes.map(({ host }) => host)])
  for (const [i, host] of [...hosts].entries()) hide(host, `HOST-${i + 1}`)
  const client = runtime.redis?.connection.client
  const options = client && optionsOfEach(client)
  for (const [i, address] of (client ? addressesOf(client) : []).entries()) hide(address, `REDIS-NODE-${i + 1}`)
  hide(runtime.redis?.connection.where, 'REDIS')
  for (const { redis } of processes) hide(redis, 'OTHER-REDIS')
  for (const { host } of options?.sentinels ?? []) hide(host, 'SENTINEL')
  hide(options?.host, 'REDIS-HOST')
  hide(options?.path, 'REDIS-SOCKET')
  hide(options?.username, 'REDIS-USER')
  hide(options?.password, 'REDIS-PASSWORD')
  hide(runtime.keys.prefix, 'PREFIX')
  for (const { host, database, username, password } of databases(runtime)) {
    hide(host, 'POSTGRES-HOST')
    hide(database, 'DATABASE')
    hide(username, 'ROLE')
    hide(password, 'POSTGRES-PASSWORD')
  }
  return texts
}

function databases(runtime: Runtime): { host?: unknown; database?: unknown; username?: unknown; password?: unknown }[] {
  return runtime.kinds.flatMap((kind) => {
    try {
      const { row } = runtime.rule(kind)
      return row ? [row.guard.table.sequelize.config as object] : []
    } catch {
      return []
    }
  })
}

/** Longer texts first, since they may contain shorter ones; only whole words. Unknown addresses and quoted texts are replaced too. */
function redactor(texts: ReadonlyMap<string, string>): (text: string) => string {
  const named = [...texts].sort(([one], [other]) => other.length - one.length)
  return (text) => {
    const known = named.reduce(
      (rest, [hidden, as]) => rest.replace(new RegExp(`(?<!\\w)${escaped(hidden)}(?!\\w)|${escaped(hidden)}(?=order)`, 'g'), as),
      text,
    )
    return known
      .replace(/\b\d{1,3}(?:\.\d{1,3}){3}\b/g, 'ADDRESS')
      .replace(/\/\/[^\s/@]+@/g, '//…@')
      .replace(/(?<=application |user |role )"[^"]*"/g, '"…"')
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
