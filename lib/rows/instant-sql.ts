// Instants and durations in SQL. Deadlines are whole milliseconds of Postgres's clock, never rounded to an earlier instant.
// Functions: https://www.postgresql.org/docs/current/functions-datetime.html

/** Postgres's clock while the statement runs, in whole milliseconds: a new deadline counts from it. */
export const CLOCK = wholeMsSql('clock_timestamp()')

/** The same clock when the transaction began. */
export const CLOCK_AT_BEGIN = wholeMsSql('now()')

/** The column's value, in a statement that Postgres refuses to run (undefined_function) unless the column is a timestamptz or a domain over one. */
export function instantSql(column: string): string {
  return `CASE WHEN ${onlyOfInstantSql(column)} THEN NULL ELSE ${column} END`
}

/**
 * A condition that is NULL for a timestamptz or a domain over one; for any other column Postgres refuses to run the statement (undefined_function). It is only
 * parsed: the function is strict, so Postgres plans NULL in its place, and neither value has to be read from a text. `column + interval` is a timestamptz only
 * for a timestamptz. It uses the function behind `@>`, since Postgres needs a tenth of the statement's time to choose among the operators of that name.
 */
export function onlyOfInstantSql(column: string): string {
  return `range_contains_elem(NULL::tstzrange, ${column} + NULL::interval)`
}

/** A duration, from a number of milliseconds or a column of them. */
export function intervalSql(milliseconds: number | string): string {
  return `${milliseconds} * interval '1 millisecond'`
}

/** A duration from a bound parameter, such as `$2`, in milliseconds. */
export function boundIntervalSql(parameter: string): string {
  return `${parameter}::float8 * interval '1 millisecond'`
}

/** An instant from a number of milliseconds since 1970, or an expression for one. */
export function instantOfMsSql(milliseconds: number | string): string {
  return `to_timestamp(${milliseconds}::float8 / 1000)`
}

/** An instant without its microseconds. */
export function wholeMsSql(instant: string): string {
  return `date_trunc('milliseconds', ${instant})`
}

/**
 * Whole milliseconds of an instant since 1970, rounded up, so never before it. Computed from whole microseconds, Postgres's own unit, since seconds
 * with a fraction are not exact; and by `date_part`, since `extract` computes in numeric, which takes three times as long.
 */
export function epochMsSql(instant: string): string {
  return `ceil(round(date_part('epoch', ${instant}) * 1000000) / 1000)`
}

/** Milliseconds to a deadline, rounded up; negative once it has passed, NULL if there is none. */
export function remainingMsSql(deadline: string, now: string): string {
  return `ceil(extract(epoch from ${deadline} - ${now}) * 1000)`
}

/** The same, and 0 once it has passed. */
export function timeLeftMsSql(deadline: string, now: string): string {
  return `greatest(0, ${remainingMsSql(deadline, now)})`
}
