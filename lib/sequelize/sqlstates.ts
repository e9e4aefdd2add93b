// The SQLSTATEs that are used, each under Postgres's name.
// https://www.postgresql.org/docs/current/errcodes-appendix.html

export const STRING_DATA_RIGHT_TRUNCATION = '22001'
export const NUMERIC_VALUE_OUT_OF_RANGE = '22003'
export const FOREIGN_KEY_VIOLATION = '23503'
export const CHECK_VIOLATION = '23514'
/** An earlier statement of the transaction failed. */
export const IN_FAILED_TRANSACTION = '25P02'
/** Under an isolation stricter than READ COMMITTED. */
export const SERIALIZATION_FAILURE = '40001'
export const DEADLOCK_DETECTED = '40P01'
export const INSUFFICIENT_PRIVILEGE = '42501'
export const UNDEFINED_TABLE = '42P01'
export const UNDEFINED_COLUMN = '42703'
/** Also an operator that does not exist for the given types. */
export const UNDEFINED_FUNCTION = '42883'
export const DATATYPE_MISMATCH = '42804'
export const GENERATED_ALWAYS = '428C9'
export const FEATURE_NOT_SUPPORTED = '0A000'
export const INVALID_SCHEMA_NAME = '3F000'
export const OBJECT_NOT_IN_PREREQUISITE_STATE = '55000'
/** `lock_timeout` has passed, or NOWAIT. */
export const LOCK_NOT_AVAILABLE = '55P03'
/** `statement_timeout` has passed, or the statement was cancelled. */
export const QUERY_CANCELED = '57014'

export const SQLSTATE = /^[0-9A-Z]{5}$/

// Classes, by the first two characters.

/** Connection, rollback (deadlock, serialization), resources, operator, system, internal; and a lock that was not available. */
export const INFRASTRUCTURE = /^(?:08|40|53|57|58|XX|55P03)/

/** Wrong transaction state (read only); the database itself does not exist. */
export const WRONG_SERVER = /^(?:25|3D)/

/** Syntax error or access rule violation (a table, a column, a type or a right is missing); a schema is missing. */
export const WRONG_STATEMENT = /^(?:42|3F)/

/** Data exception, feature not supported: the statement is wrong if Postgres gives a position in its text, otherwise a row. */
export const WRONG_STATEMENT_OR_ROW = /^(?:22|0A)/

/** The written value refers to no row, or violates a condition. */
export const CONSTRAINT_VIOLATIONS: ReadonlySet<unknown> = new Set([FOREIGN_KEY_VIOLATION, CHECK_VIOLATION])

/** A lock was not available in time: by `lock_timeout`, or by `statement_timeout` if several transactions wait for it. */
export const LOCK_WAIT_ENDED: ReadonlySet<unknown> = new Set([LOCK_NOT_AVAILABLE, QUERY_CANCELED])

/** The transaction was rolled back because of other transactions, and may be repeated. */
export const ROLLED_BACK: ReadonlySet<unknown> = new Set([SERIALIZATION_FAILURE, DEADLOCK_DETECTED])
