// Whether a transaction has locked a row, without taking a lock: by the row's xmax and the running transactions in pg_locks. A false alarm is
// possible: a foreign key's lock, taken while a child row is inserted, looks the same, and does not keep the row from being settled.

/** https://www.postgresql.org/docs/current/view-pg-locks.html: each transaction that has written holds a lock on its own id. */
const RUNNING = `SELECT transactionid FROM pg_locks WHERE locktype = 'transactionid' AND granted AND transactionid IS NOT NULL`

/** The oldest multixact that may still be asked for; an older one, or one that does not exist yet, is an error. */
const OLDEST_MULTIXACT = 'SELECT max(mxid_age(datminmxid)) FROM pg_database'

/** A condition on the row under `alias`. Its xmax is a transaction or a multixact of several; nothing shows which. */
export function isLockedSql(alias: string): string {
  const xmax = `${alias}.xmax`
  return `CASE WHEN ${xmax} = '0'::xid THEN FALSE WHEN ${xmax} IN (${RUNNING}) THEN TRUE
    WHEN mxid_age(${xmax}) BETWEEN 1 AND (${OLDEST_MULTIXACT}) THEN EXISTS (
      SELECT FROM pg_get_multixact_members(${xmax}) AS order_timers_member WHERE order_timers_member.mode <> 'keysh' AND order_timers_member.xid IN (${RUNNING}))
    ELSE FALSE END`
}
