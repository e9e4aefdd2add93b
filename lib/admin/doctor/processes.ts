// Which processes are alive, and what their records show: that no worker runs, that rules or servers differ, and the faults of each.

import { ProcessesTable } from '../../rows/processes-table.js'
import { withoutBinding } from '../../sequelize/sql.js'
import { livingProcesses, type Processes } from '../processes.js'
import { advice, byHand, type Check, type Finding, fine, psql, type Remedy, unseen, wrong } from './check.js'
import type { Subject } from './subject.js'

const ALIVE = 'processes.alive'
const TABLE = 'processes.table'

/** The name of each finding. */
const NAMES: Record<string, string> = {
  NO_WORKER: 'processes.no-worker',
  KIND_UNSERVED: 'processes.kind-unserved',
  RULES_DIFFER: 'processes.rules-differ',
  OTHER_REDIS: 'processes.other-redis',
  PREFIX_SHARED: 'processes.prefix-shared',
}

export const processes: Check = {
  name: ALIVE,
  async look(subject) {
    const found = await livingProcesses(subject.runtime)
    return [...who(found), ...table(found, subject)]
  },
}

function who({ processes: listed, findings, redis, postgres }: Processes): Finding[] {
  const expected = 'a living worker, with the same rules and servers as all others'
  if (redis !== 'read' && postgres !== 'read') {
    const why = typeof redis === 'object' ? redis.problem : 'Redis is not used, and Postgres has no list of processes'
    return [unseen(ALIVE, { expected, found: why })]
  }
  const alive = listed.filter((one) => one.alive)
  const names = alive.map(
    ({ role, host, pid, version, ageMs }) => `${role} ${host}:${pid} (${version}, ${Math.round(ageMs / 1_000)} s ago)`,
  )
  const together = findings.map(({ code, kind, message, remedy }) =>
    wrong(NAMES[code] ?? code, { kind, expected, found: message.replace(`${kind}: `, '') }, ...remediesOf(code, remedy)),
  )
  const versions = new Set(alive.map(({ version }) => version))
  const differ =
    versions.size < 2
      ? []
      : [advice('processes.versions', { expected: 'one version', found: [...versions].join(', ') }, byHand('deploy one version to all'))]
  const own = alive.flatMap(({ role, host, pid, faults = [] }) =>
    faults.map(({ code, kind, message }) =>
      advice(
        'processes.faults',
        { kind, expected: 'no faults', found: `${role} ${host}:${pid} says ${code}: ${message}`, shared: `a ${role} says ${code}` },
        byHand(`see docs/errors.md, ${code}`),
      ),
    ),
  )
  if (together.length > 0) return [...together, ...differ, ...own]
  if (!alive.some(({ role }) => role === 'worker')) {
    const found = `Postgres has no row of a worker, and Redis could not be read${typeof redis === 'object' ? ` (${redis.problem})` : ''}`
    return [unseen(ALIVE, { expected, found }), ...differ, ...own]
  }
  return [fine(ALIVE, { expected, found: names.join(', ') }), ...differ, ...own]
}

function remediesOf(code: string, remedy: string): Remedy[] {
  return [byHand(code === 'NO_WORKER' ? `${remedy}: a process that calls startExpiryWorker(timers)` : remedy)]
}

/** No rule needs that table; with it processes see each other where Redis does not answer. */
function table({ postgres }: Processes, { databases }: Subject): Finding[] {
  const [database] = databases
  const [rule] = database?.rules ?? []
  if (!database || !rule) return []
  const expected = 'the table order_timers_processes, by which processes see each other while Redis does not answer'
  const name = withoutBinding(new ProcessesTable(rule.row.guard.table).name)
  if (postgres === 'no table') return [advice(TABLE, { expected, found: 'there is none' }, ...ProcessesTable.createSql(name).map(psql))]
  if (postgres === 'no right') {
    const grant = `GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO "${database.server?.role}"`
    return [advice(TABLE, { expected, found: 'this role may not read it' }, psql(grant))]
  }
  if (postgres === 'not read') return [unseen(TABLE, { expected, found: 'Postgres did not answer' })]
  return [fine(TABLE, { expected, found: 'it is there' })]
}
