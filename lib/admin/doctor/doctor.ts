// `order-timers doctor`: checks everything that timers need, and says for each thing what was expected, what was found, and how to fix it.
// It changes nothing; in Redis it sets a few test keys and removes them. What it could not check is never reported as fine.

import type { Runtime } from '../../timers/runtime.js'
import { within } from '../../wait.js'
import { type Check, type Finding, unseen, type Verdict } from './check.js'
import { CHECKS } from './checks.js'
import { cannotAsk, endNodes, type Subject, type SubjectRole, subjectOf, why } from './subject.js'

/** How long one check may take. */
const CHECK_MS = 30_000

export interface DoctorOptions {
  /** The folder in which the shop's packages are searched. Default: the current folder. */
  directory?: string
  /** The role whose rights are checked. Default: a worker, which needs the most. */
  role?: SubjectRole
}

export interface Diagnosis {
  /** Nothing is wrong. What could not be checked is counted in `unseen`. */
  ok: boolean
  counts: Record<Verdict, number>
  findings: Finding[]
}

/** Never rejects. */
export async function doctor(runtime: Runtime, options: DoctorOptions = {}): Promise<Diagnosis> {
  const subject = await subjectOf(runtime, { directory: options.directory ?? process.cwd(), role: options.role ?? 'worker' })
  return diagnose(subject).finally(() => endNodes(subject))
}

export async function diagnose(subject: Subject): Promise<Diagnosis> {
  const findings: Finding[] = []
  for (const check of CHECKS) findings.push(...(await lookedAtAll(check, subject)))
  const counts = { fine: 0, wrong: 0, advice: 0, unseen: 0 }
  for (const { verdict } of findings) counts[verdict] += 1
  return { ok: counts.wrong === 0, counts, findings }
}

/** In a cluster, on each primary if the check wants that; the finding then names the node. */
async function lookedAtAll(check: Check, subject: Subject): Promise<Finding[]> {
  const nodes = subject.redis?.nodes ?? []
  if (!check.ofEachNode || nodes.length === 0) return lookedAt(check, subject)
  const found = await Promise.all(nodes.map((node) => lookedAt(check, { ...subject, redis: node })))
  return found.flatMap((findings, i) => findings.map((finding) => ({ ...finding, found: `${nodes[i]?.address}: ${finding.found}` })))
}

async function lookedAt({ name, needs, look }: Check, subject: Subject): Promise<Finding[]> {
  const notNow = cannotAsk(subject, needs)
  const unused = needs === 'redis' && !subject.redis
  if (unused) return []
  const expected = 'that it can be checked'
  if (notNow !== undefined) return [unseen(name, { expected, found: notNow })]
  try {
    return (await within(CHECK_MS, look(subject))) ?? [unseen(name, { expected, found: `no answer in ${CHECK_MS / 1_000} s` })]
  } catch (error) {
    return [unseen(name, { expected, found: why(error) })]
  }
}
