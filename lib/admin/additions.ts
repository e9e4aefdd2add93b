// Statements that mark what they add, and statements that drop only what has that mark, so that `down` keeps what existed before. The
// mark is the comment on the column, the index or the table.

/** What `up` may add: how to find it, to make it, to mark it and to drop it. Names are SQL, quoted. */
export interface Addition {
  /** A query that finds it: `oid` in pg_class, and `part`, a column's number or 0. */
  find: string
  /** Each is safe to repeat. */
  create: readonly string[]
  /** Statements of PL/pgSQL in which `it` is what `find` found. */
  comment(mark: string): string
  drop: string
}

/** One statement that adds what is missing, and marks it. What exists already stays as it is, without the mark. */
export function addSql({ find, create, comment }: Addition, mark: string): string {
  return `DO $order_timers$ DECLARE
  it record;
  found_before boolean := EXISTS (${find});
BEGIN
${create.map((sql) => `  ${sql};`).join('\n')}
  IF found_before THEN RETURN; END IF;
  FOR it IN ${find} LOOP
    ${comment(literal(mark))};
  END LOOP;
END $order_timers$`
}

/** One statement that drops it if it has the mark. */
export function dropSql({ find, drop }: Addition, mark: string): string {
  return `DO $order_timers$ DECLARE
  it record;
BEGIN
  FOR it IN ${find} LOOP
    IF (CASE it.part WHEN 0 THEN obj_description(it.oid, 'pg_class') ELSE col_description(it.oid, it.part) END) = ${literal(mark)} THEN
      ${drop};
    END IF;
  END LOOP;
END $order_timers$`
}

export function columnAddition(table: string, { name, quoted, type }: { name: string; quoted: string; type: string }): Addition {
  return {
    find: `SELECT attrelid AS oid, attnum::int AS part FROM pg_attribute
    WHERE attrelid = to_regclass(${literal(table)}) AND attname = ${literal(name)} AND NOT attisdropped`,
    create: [`ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS ${quoted} ${type}`],
    comment: (mark) => `COMMENT ON COLUMN ${table}.${quoted} IS ${mark}`,
    drop: `ALTER TABLE ${table} DROP COLUMN ${quoted}`,
  }
}

/** It is found by its table's schema, because its bare name may refer to an index in another schema. */
export function indexAddition(table: string, { name, definition }: { name: string; definition: string }): Addition {
  return {
    find: `SELECT oid, 0 AS part FROM pg_class WHERE relkind IN ('i', 'I') AND relname = ${literal(name)}
    AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(${literal(table)}))`,
    create: [`CREATE INDEX IF NOT EXISTS ${definition}`],
    comment: (mark) => `EXECUTE format('COMMENT ON INDEX %s IS %L', it.oid::regclass, ${mark})`,
    drop: `EXECUTE format('DROP INDEX %s', it.oid::regclass)`,
  }
}

export function tableAddition(table: string, create: readonly string[]): Addition {
  return {
    find: `SELECT oid, 0 AS part FROM pg_class WHERE oid = to_regclass(${literal(table)})`,
    create,
    comment: (mark) => `COMMENT ON TABLE ${table} IS ${mark}`,
    drop: `DROP TABLE ${table}`,
  }
}

/** A text as SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
