// Each rule's orders: what is overdue and why, dead letters, what is stale, what has no deadline, and whether its brake has stopped it.

import type { RowRule } from '../../rows/row-rule.js'
import type { Runtime } from '../../timers/runtime.js'
import { type KeptFailures, keptFailures } from '../kept-failures.js'
import { countOrders, type OrderCounts, oldestOverdue } from '../order-counts.js'
import { postgresNow } from '../postgres-now.js'
import { failingKinds } from '../problem.js'
import { figuresInRedis } from '../rule-status.js'
import { advice, byHand, type Check, type Finding, fine, ofEach, type Remedy, shell, unseen, wrong } from './check.js'
import type { SubjectRedis, SubjectRule } from './subject.js'

const OVERDUE = 'orders.overdue'
const DEAD = 'orders.dead'
const STALE = 'orders.stale'
const UNDATED = 'orders.undated'
const BRAKED = 'orders.braked'

/** An order may be overdue for this long without a fault. */
const GRACE_MS = 5_000
const STATEMENT_MS = 20_000
const WAIT_MS = 5_000

const UNKNOWN: KeptFailures = { failed: undefined, problem: undefined }

export const orders: Check = {
  name: OVERDUE,
  needs: 'postgres',
  async look({ databases, rules, runtime, redis }) {
    const failuresOf = async (kind: string) => (redis && redis.trouble === undefined ? keptFailures(runtime, kind) : UNKNOWN)
    const kinds = redis ? failingKinds(runtime).map((kind) => ({ kind })) : []
    const ofRules = databases.flatMap((database) => database.rules)
    return [
      ...(await ofEach(kinds, DEAD, async ({ kind }) => [await dead(runtime, kind, await failuresOf(kind))])),
      ...(await ofEach(ofRules, OVERDUE, async ({ kind, row }) => {
        const findings = row.brake ? [await braked(kind, row)] : []
        if (row.deadline.in === 'redis') return findings
        const { failed } = await failuresOf(kind)
        const counts = await countOrders(row, { days: 1, failed, statementMs: STATEMENT_MS })
        const oldest = oldestOverdue(counts)
        const ageMs = counts.overdue === 0 || oldest === null ? 0 : (await postgresNow(row)) - oldest.getTime()
        const sweep = shell(`npx order-timers sweep --kind ${kind}`)
        const late = overdue(kind, row.options.dryRun ? 0 : counts.overdue, ageMs, sweep)
        return [...findings, late, stale(kind, counts), undated(kind, row, counts)]
      })),
      ...(redis && redis.trouble === undefined
        ? await ofEach(rules.filter(isInRedis), OVERDUE, async (rule) => [await overdueInRedis(redis, rule)])
        : []),
    ]
  },
}

/** For a rule whose deadlines are only in Redis. */
async function overdueInRedis(redis: SubjectRedis, { kind, row }: SubjectRule): Promise<Finding> {
  const { overdue: count, oldestMs, nowMs } = await figuresInRedis(redis, kind, WAIT_MS)
  const isStopped = row && (row.options.dryRun || (await row.holds.standing()).length > 0 || (await row.brake?.brakedAt()))
  return overdue(kind, isStopped ? 0 : count, nowMs - (oldestMs ?? nowMs))
}

function isInRedis({ row, problem }: SubjectRule): boolean {
  return problem === undefined && (row === undefined || row.deadline.in === 'redis')
}

function overdue(kind: string, count: number, ageMs: number, ...remedies: Remedy[]): Finding {
  const expected = `no order that is overdue for longer than ${GRACE_MS / 1_000} s, unless there is a known reason`
  if (count === 0) return fine(OVERDUE, { kind, expected, found: 'none' })
  const found = `${count} overdue, the oldest for ${Math.round(ageMs / 1_000)} s`
  if (ageMs < GRACE_MS) return fine(OVERDUE, { kind, expected, found })
  return wrong(
    OVERDUE,
    { kind, expected, found },
    byHand('start a worker if processes.no-worker reports none; else another finding here is the cause'),
    ...remedies,
  )
}

async function dead({ redis }: Runtime, kind: string, { failed, problem }: KeptFailures): Promise<Finding> {
  const expected = 'no dead letters'
  if (!failed) return unseen(DEAD, { kind, expected, found: problem ?? 'Redis does not serve; see redis.reachable' })
  const [id] = failed.dead
  if (id === undefined) return fine(DEAD, { kind, expected, found: 'none' })
  const first = (await redis?.failures.of(kind, [id]).catch(() => undefined))?.get(id)
  const shared = String(failed.dead.length)
  const found = `${shared}${first ? `, such as: ${first.error}` : ''}`
  return wrong(
    DEAD,
    { kind, expected, found, shared },
    byHand('remove the cause; `order-timers dead` lists them'),
    shell(`npx order-timers retry ${kind} --yes`),
  )
}

function stale(kind: string, { stale: count }: OrderCounts): Finding {
  const expected = 'no order that is overdue by more than "staleAfter", which only a command settles'
  if (count === 0) return fine(STALE, { kind, expected, found: 'none' })
  return wrong(
    STALE,
    { kind, expected, found: String(count) },
    byHand('look at them: npx order-timers plan'),
    shell(`npx order-timers sweep --stale --kind ${kind} --yes`),
  )
}

function undated(kind: string, row: RowRule, { undated: count }: OrderCounts): Finding {
  const expected = 'each order where the rule applies has a deadline'
  if (count === 0) return fine(UNDATED, { kind, expected, found: 'each has' })
  const found = `${count} have none, and are never settled`
  const { table, deadlineColumn } = row.guard
  const column = deadlineColumn?.split('.').at(-1)
  return advice(
    UNDATED,
    { kind, expected, found },
    byHand(`give the rule "backfill", or write ${column} of ${table.tableText}; \`cancel\` leaves such orders too`),
  )
}

async function braked(kind: string, row: RowRule): Promise<Finding> {
  const expected = 'its brake lets it settle'
  const at = await row.brake?.brakedAt()
  if (!at) return fine(BRAKED, { kind, expected, found: 'it does' })
  const found = `stopped since ${at.toISOString()}: ${row.brake?.inWords} were to be settled`
  return wrong(
    BRAKED,
    { kind, expected, found },
    byHand('see why so many became due: npx order-timers plan'),
    shell(`npx order-timers release ${kind}`),
  )
}
