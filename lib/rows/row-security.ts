// Row-level security hides rows without a word: an order that no policy shows to a worker's user is never settled, and nothing counts it.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { booleanOf } from '../sequelize/values.js'
import type { SettledRows } from './row-rule.js'

/** @returns what is wrong, in words; nothing where this user sees every row of the table */
export async function lookAtRowSecurity({ guard }: SettledRows, transaction: Transaction): Promise<string[]> {
  const { sequelize, tableText } = guard.table
  const [found] = await rows<{ hides: unknown }>(sequelize, HIDES, [tableText], transaction)
  if (booleanOf(found?.hides) !== true) return []
  const why = 'has row-level security, and orders that no policy shows to this user are neither settled nor counted'
  return [`${tableText} ${why}; let one show it all of them: CREATE POLICY order_timers ON ${tableText} TO … USING (true)`]
}

/** Whether it may: a policy that restricts, or none that shows this user all rows both to read and to write. */
const HIDES = `SELECT row_security_active(c.oid) AND (bool_or(NOT p.polpermissive) IS TRUE
  OR bool_or(p.polcmd <> 'w' AND pg_get_expr(p.polqual, p.polrelid) = 'true') IS NOT TRUE
  OR bool_or(p.polcmd <> 'r' AND pg_get_expr(p.polqual, p.polrelid) = 'true') IS NOT TRUE) AS hides
FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid AND p.polcmd IN ('*', 'r', 'w')
  AND EXISTS (SELECT FROM unnest(p.polroles) AS one (role) WHERE one.role = 0 OR pg_has_role(one.role, 'MEMBER'))
WHERE c.oid = to_regclass($1) GROUP BY c.oid`
