// The trigger (auto/trigger.ts) as part of a migration. `up` replaces a trigger that an earlier migration made, and `down` restores it: the comment
// on its function keeps the former definition.

import { type TableTrigger, TRIGGER, triggerFunction, triggersOf } from '../auto/trigger.js'
import type { ShopRule } from '../rules/rule.js'
import { withoutBinding } from '../sequelize/sql.js'
import { literal } from './additions.js'

/** @throws OrderTimersError INVALID_OPTION where `after` is a function */
export function triggerMigration(rules: readonly ShopRule[], mark: string): { up: string[]; down: string[] } {
  const all = triggersOf(rules).map((trigger) => ({
    ...trigger,
    name: withoutBinding(trigger.table.table),
    call: `${withoutBinding(triggerFunction(trigger.table))}()`,
    mark: literal(mark),
  }))
  return {
    up: all.flatMap((one) => [functionSql(one), ...one.createTrigger]),
    down: all.map(takeBackSql),
  }
}

/** One line for each rule that gets no trigger, with the reason. */
export function triggerNotes(rules: readonly ShopRule[]): string[] {
  return rules.flatMap((rule) => {
    const why = whyNone(rule)
    return why === undefined ? [] : [`${rule.kind}: --trigger prints nothing for it, since ${why}`]
  })
}

function whyNone({ row }: ShopRule): string | undefined {
  if (!row) return 'it is a plain function and has no rows; call schedule() where its work becomes due'
  if (row.deadline.in === 'redis') return 'it has "deadline: false", so there is no column to write; call schedule() in each route'
  if (row.deadline.in === 'since')
    return 'its deadline follows from the row ("since"), so nothing has to be written, whoever writes the row'
  if (row.move) return undefined
  return 'it is an effect, whose "where" may look at more than the row itself; call schedule(), or give it "backfill" and the sweep writes the deadline'
}

interface Named extends TableTrigger {
  /** The table. */
  name: string
  /** The function, with parentheses. */
  call: string
  mark: string
}

/** Creates the function and marks it. The mark keeps the function that it replaces. */
function functionSql({ name, call, mark, createFunction }: Named): string {
  return `DO $order_timers_up$ DECLARE
  old oid := to_regprocedure(${literal(call)});
  old_note text := obj_description(old, 'pg_proc');
  trigger_calls oid := (SELECT tgfoid FROM pg_trigger WHERE tgrelid = to_regclass(${literal(name)}) AND tgname = ${literal(TRIGGER)});
  note text := ${mark};
BEGIN
  IF trigger_calls IS DISTINCT FROM old AND trigger_calls IS NOT NULL THEN
    RAISE EXCEPTION 'the trigger ${TRIGGER} on % is not one that order-timers made; rename it first', to_regclass(${literal(name)});
  END IF;
  IF split_part(old_note, chr(10), 1) = note THEN note := old_note;
  ELSIF old IS NOT NULL THEN
    note := concat(note, chr(10), json_build_object('function', pg_get_functiondef(old), 'comment', old_note, 'used', trigger_calls IS NOT NULL));
  END IF;
${createFunction};
  EXECUTE format('COMMENT ON FUNCTION %s IS %L', to_regprocedure(${literal(call)}), note);
END $order_timers_up$`
}

function takeBackSql({ name, call, mark }: Named): string {
  return `DO $order_timers$ DECLARE
  note text := obj_description(to_regprocedure(${literal(call)}), 'pg_proc');
  former json;
BEGIN
  IF split_part(note, chr(10), 1) IS DISTINCT FROM ${mark} THEN RETURN; END IF;
  former := nullif(substr(note, length(${mark}) + 2), '');
  IF former IS NULL OR NOT (former->>'used')::boolean THEN DROP TRIGGER IF EXISTS ${TRIGGER} ON ${name}; END IF;
  IF former IS NULL THEN DROP FUNCTION ${call}; RETURN; END IF;
  EXECUTE former->>'function';
  EXECUTE format('COMMENT ON FUNCTION %s IS %L', to_regprocedure(${literal(call)}), former->>'comment');
END $order_timers$`
}
