// What rules that no process has any more have left in Redis: nobody settles it, shows it or removes it.

import { OrderTimersError } from '../errors.js'
import type { LeftSets, LeftTimers } from '../redis/left-sets.js'
import { Presence } from '../redis/presence.js'
import { isAliveByBeat } from '../redis/process-records.js'
import { ProcessesTable } from '../rows/processes-table.js'
import { reminderKind } from '../rules/reminder.js'
import { withoutBinding } from '../sequelize/sql.js'
import { isAliveByRow, nameOf } from '../timers/findings.js'
import type { Runtime, RuntimeRedis } from '../timers/runtime.js'
import { failingKinds } from './problem.js'

const WAIT_MS = 2_000

export interface LeftKind extends LeftTimers {
  kind: string
  names: string[]
}

/** @param declared whether a process has a rule of this kind */
export async function leftKinds(
  sets: LeftSets,
  byKind: ReadonlyMap<string, string[]>,
  declared: (kind: string) => boolean,
): Promise<LeftKind[]> {
  const left: LeftKind[] = []
  for (const [kind, names] of byKind) if (!declared(kind)) left.push({ kind, names, ...(await sets.count(names)) })
  return left
}

/** @param elsewhere the kinds of living processes, whose reminders are not known */
export function declaredBy(runtime: Runtime, elsewhere: readonly string[]): (kind: string) => boolean {
  const here = new Set(failingKinds(runtime))
  return (kind) => here.has(kind) || elsewhere.some((other) => kind === other || kind.startsWith(reminderKind(other, '')))
}

/** What else is left behind means nothing without timers. */
export function hasTimers({ armed, claimed, dead }: LeftTimers): boolean {
  return armed + claimed + dead > 0
}

/** Whether timers would be lost with it that no row may have. */
export function mayBeLost(left: LeftTimers): boolean {
  return !left.onRows && hasTimers(left)
}

export interface LivingProcess {
  /** Host and process id. */
  name: string
  kinds: string[]
}

/**
 * The living processes, of which a heartbeat in Redis or a row in Postgres is new enough.
 * @throws OrderTimersError INVALID_MODEL if a table of processes may not be read; what Redis or Postgres throws
 */
export async function livingKinds(runtime: Runtime, { connection }: RuntimeRedis): Promise<LivingProcess[]> {
  const { prefix } = runtime.keys
  const { processes } = await new Presence(connection, runtime.keys).read(WAIT_MS)
  const alive = processes.filter(isAliveByBeat).map((one) => ({ name: nameOf(one), kinds: Object.keys(one.rules) }))
  const tables = runtime.kinds.flatMap((kind) => {
    const { row } = runtime.rule(kind)
    return row ? [{ sequelize: row.guard.table.sequelize, table: new ProcessesTable(row.guard.table) }] : []
  })
  const isFirst = ({ sequelize, table }: (typeof tables)[number], i: number) =>
    tables.findIndex((one) => one.sequelize === sequelize && one.table.name === table.name) === i
  for (const { table } of tables.filter(isFirst)) {
    const { state, processes: rows = [] } = await table.beat(prefix, undefined, [])
    if (state === 'no right') throw unread(withoutBinding(table.name))
    alive.push(...rows.filter(isAliveByRow).map((one) => ({ name: nameOf(one), kinds: Object.keys(one.rules ?? {}) })))
  }
  return alive
}

function unread(table: string): OrderTimersError {
  const remedy = `nobody knows which processes have the rule; GRANT SELECT ON ${table} TO that role`
  return new OrderTimersError('INVALID_MODEL', `orderTimers: this role may not read ${table}, so ${remedy}`)
}
