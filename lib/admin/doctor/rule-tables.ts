// What each rule needs in the database: tables, columns, rows that it refers to, rights, and every statement that it runs, planned by Postgres.

import { BRAKE_TABLE, Brake } from '../../rows/brake.js'
import { HISTORY_TABLE, History } from '../../rows/history.js'
import type { RowRule } from '../../rows/row-rule.js'
import { withoutBinding } from '../../sequelize/sql.js'
import { byHand, type Check, type Finding, fine, psql, type Remedy, unseen, wrong } from './check.js'
import { why } from './subject.js'

const NAME = 'rule.tables'

export const ruleTables: Check = {
  name: NAME,
  needs: 'postgres',
  async look({ databases, role }) {
    const findings: Finding[] = []
    for (const { rules, server } of databases)
      for (const { kind, row } of rules) findings.push(...(await ofRule(kind, row, server?.role ?? '…', role === 'web')))
    return findings
  },
}

async function ofRule(kind: string, row: RowRule, role: string, withoutWorker: boolean): Promise<Finding[]> {
  const expected = 'tables, columns, values and rights that fit its statements'
  const { wrong: stopping, partial, unseen: notLookedAt } = await row.look({ withoutWorker })
  const problems = [...stopping, ...partial]
  if (notLookedAt !== undefined) return [unseen(NAME, { kind, expected, found: why(notLookedAt) })]
  if (problems.length === 0) return [fine(NAME, { kind, expected, found: 'all of its statements can run' })]
  return problems.map(({ message }) => {
    const found = message.replace(/^orderTimers: rule "[^"]*": /, '')
    return wrong(NAME, { kind, expected, found }, ...remediesOf(found, row, role))
  })
}

/** The lines of a message that are commands. */
export function remediesOf(message: string, { history, brake }: Pick<RowRule, 'history' | 'brake'>, role: string): Remedy[] {
  if (history && message.includes(HISTORY_TABLE) && message.startsWith('there is no table'))
    return statements(History.createSql(withoutBinding(history.table)))
  if (brake && message.includes(BRAKE_TABLE) && message.startsWith('there is no table'))
    return statements(Brake.createSql(withoutBinding(brake.table)))
  const [, grant] = /: (GRANT [^;]+ TO) …$/.exec(message) ?? []
  if (grant !== undefined) return [psql(`${grant} "${role}"`)]
  const lines = [...message.matchAll(/^-- ([^:\n]*: )?((?:ALTER|INSERT)[^\n]+)$/gm)].map(([, when = '', sql = '']) => ({ when, sql }))
  if (lines.length > 0) return lines.flatMap(({ when, sql }) => [...(when === '' ? [] : [byHand(when.replace(/: $/, ':'))]), psql(sql)])
  const [, alter] = /((?:ALTER TABLE|ALTER TYPE) [^;\n]+)$/.exec(message) ?? []
  return [alter === undefined ? byHand('as it says; `order-timers migration` prints what the rules need') : psql(alter)]
}

function statements(create: string[]): Remedy[] {
  return create.map(psql)
}
