// The Postgres trigger that does what `auto` does, but for every writer: raw SQL, another service, a person at psql. It starts a timer where an
// order enters `from`, ends it when the order leaves, and applies `pause.while`. It is printed for a migration, and never created by the timers.

import { NOT_IN_FROM, type RowGuard } from '../rows/guard.js'
import { intervalSql, timeLeftMsSql, wholeMsSql } from '../rows/instant-sql.js'
import type { OrderTable } from '../rows/order-table.js'
import type { DeclaredColumn } from '../rows/row-options.js'
import { invalidRule } from '../rules/option-checks.js'
import type { ShopRule } from '../rules/rule.js'
import { withoutBinding } from '../sequelize/sql.js'

const NOW = wholeMsSql('statement_timestamp()')

/** The statements that create the trigger of one table. They may be run again. */
export interface TableTrigger {
  table: OrderTable
  createFunction: string
  createTrigger: string[]
}

/** A transition whose deadline the trigger writes. */
interface Triggered {
  kind: string
  guard: RowGuard
  column: DeclaredColumn
}

/**
 * @returns one for each table on which transitions keep their deadlines
 * @throws OrderTimersError INVALID_OPTION where `after` is a function, which Postgres cannot call
 */
export function triggersOf(rules: readonly ShopRule[]): TableTrigger[] {
  const byTable = new Map<string, Triggered[]>()
  for (const { kind, row } of rules) {
    if (!row?.move || row.deadline.in !== 'column') continue
    const { guard, deadline } = row
    const { table } = guard.table
    byTable.set(table, [...(byTable.get(table) ?? []), { kind, guard, column: deadline }])
  }
  return [...byTable.values()].map((triggered) => triggerOf(triggered))
}

/** All these statements. */
export function triggerSql(rules: readonly ShopRule[]): string[] {
  return triggersOf(rules).flatMap(({ createFunction, createTrigger }) => [createFunction, ...createTrigger])
}

/** The name of the trigger, on each table. */
export const TRIGGER = 'order_timers'

/** The name of the trigger's function, quoted. */
export function triggerFunction(table: OrderTable): string {
  return table.inSameSchema(`${TRIGGER}_${table.model.tableName}`.slice(0, 63))
}

function triggerOf(triggered: Triggered[]): TableTrigger {
  const { table } = (triggered[0] as Triggered).guard
  const name = triggerFunction(table)
  const createFunction = `CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $order_timers$
DECLARE
  order_timers_was boolean;
  order_timers_is boolean;
BEGIN
${triggered.map(ruleBody).join('\n')}
  RETURN NEW;
END
$order_timers$`
  const createTrigger = [
    `DROP TRIGGER IF EXISTS ${TRIGGER} ON ${table.table}`,
    `CREATE TRIGGER ${TRIGGER} BEFORE INSERT OR UPDATE ON ${table.table} FOR EACH ROW EXECUTE FUNCTION ${name}()`,
  ]
  return { table, createFunction: withoutBinding(createFunction), createTrigger: createTrigger.map(withoutBinding) }
}

function ruleBody({ kind, guard, column: declared }: Triggered): string {
  const { after, pause, extensions, backfill } = declared
  if (typeof after === 'function')
    throw invalidRule(
      kind,
      '"after" is a function, which a trigger in Postgres cannot call; give "after" as a duration, or use "auto" in place of the trigger',
    )
  const column = (attribute: string) => guard.table.bareColumn(attribute)
  const deadline = column(declared.attribute)
  const none = (record: string) => `${record}.${deadline} IS NULL${backfill ? ` OR ${record}.${deadline} = ${guard.noTimerSql}` : ''}`
  // In an INSERT every column of OLD is NULL.
  const given = `NEW.${deadline} IS DISTINCT FROM OLD.${deadline} AND NOT (${none('NEW')})`
  const kept = pause ? [`NEW.${column(pause.keep)} := NULL;`] : []
  const counted = extensions ? [`NEW.${column(extensions.attribute)} := NULL;`] : []
  const starts = after === undefined ? `NEW.${deadline} := ${guard.noTimerSql};` : `NEW.${deadline} := ${NOW} + ${intervalSql(after)};`
  return lines(2, [
    `-- ${kind}`,
    `order_timers_is := coalesce(${applies('NEW', guard)}, FALSE);`,
    'order_timers_was := FALSE;',
    `IF TG_OP = 'UPDATE' THEN order_timers_was := coalesce(${applies('OLD', guard)}, FALSE); END IF;`,
    'IF order_timers_is AND NOT order_timers_was THEN',
    `  IF NOT (${given}) THEN ${starts} END IF;`,
    ...[...kept, ...counted].map((line) => `  ${line}`),
    'ELSIF order_timers_was AND NOT order_timers_is THEN',
    ...[`NEW.${deadline} := ${NOT_IN_FROM};`, ...kept].map((line) => `  ${line}`),
    'END IF;',
    ...(pause?.while ? pausing(guard, deadline, column(pause.keep), none('NEW')) : []),
  ])
}

/** Writes at once what the sweep would write later (maintenance.ts). */
function pausing(guard: RowGuard, deadline: string, keep: string, none: string): string[] {
  const left = `${timeLeftMsSql(`NEW.${deadline}`, 'statement_timestamp()')}::bigint`
  return [
    'IF order_timers_is THEN',
    `  IF EXISTS (SELECT FROM (SELECT NEW.*) AS ${guard.table.alias} WHERE ${guard.pausedSql}) THEN`,
    `    IF NOT (${none}) AND NEW.${deadline} > now() - ${intervalSql(guard.staleAfterMs)} THEN`,
    `      NEW.${keep} := ${left};`,
    `      NEW.${deadline} := ${guard.noTimerSql};`,
    '    END IF;',
    `  ELSIF NEW.${keep} IS NOT NULL AND (${none}) THEN`,
    `    NEW.${deadline} := ${NOW} + ${intervalSql(`NEW.${keep}`)};`,
    `    NEW.${keep} := NULL;`,
    '  END IF;',
    'END IF;',
  ]
}

/** Whether the rule applies to the record, which is read as a table of one row so that the guard's own SQL can be used. */
function applies(record: 'NEW' | 'OLD', { table, appliesSql }: RowGuard): string {
  return `(SELECT ${appliesSql} FROM (SELECT ${record}.*) AS ${table.alias})`
}

function lines(indent: number, all: string[]): string {
  return all.map((line) => ' '.repeat(indent) + line).join('\n')
}
