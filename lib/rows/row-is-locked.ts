// Whether somebody's transaction holds a row, asked without a lock of our own: by the row's xmax, and the transactions that pg_locks shows.
// Such a row may be locked for a child row that is being inserted as well, and then it can be settled all the same: xmax does not tell.

/** https://www.postgresql.org/docs/current/view-pg-locks.html: each transaction that has written holds a lock on its own id. */
const RUNNING = `SELECT transactionid FROM pg_locks WHERE locktype = 'transactionid' AND granted AND transactionid IS NOT NULL`

/** The oldest multixact that may still be asked for; an older one, or one that does not exist yet, is an error. */
const OLDEST_MULTIXACT = 'SELECT max(mxid_age(datminmxid)) FROM pg_database'

/** A condition over the row that stands under `alias`. xmax is a transaction, or a multixact of several; nothing says which. */
export function isLockedSql(alias: string): string {
  const xmax = `${alias}.xmax`
  return `CASE WHEN ${xmax} = '0'::xid THEN FALSE WHEN ${xmax} IN (${RUNNING}) THEN TRUE
    WHEN mxid_age(${xmax}) BETWEEN 1 AND (${OLDEST_MULTIXACT}) THEN EXISTS (
      SELECT FROM pg_get_multixact_members(${xmax}) AS order_timers_member WHERE order_timers_member.mode <> 'keysh' AND order_timers_member.xid IN (${RUNNING}))
    ELSE FALSE END`
}
