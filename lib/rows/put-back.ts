// A trigger of the shop may put back what an UPDATE writes (BEFORE UPDATE returns OLD). The row then still meets the statement's conditions, and would be found
// again and again.

import { allOf, type Condition } from './conditions.js'

export interface Returned {
  id: string
  order_timers_still: boolean
}

/** For RETURNING: whether the conditions still apply. */
export function stillSql(conditions: readonly Condition[]): string {
  return `(${allOf([...conditions])}) IS TRUE AS order_timers_still`
}

/** @returns how many rows were written, and the id of one that was not */
export function writtenOf(returned: readonly Returned[]): { written: number; putBack: string | undefined } {
  const still = returned.filter((row) => row.order_timers_still)
  return { written: returned.length - still.length, putBack: still[0]?.id }
}

export class PutBack extends Error {
  override message = 'a trigger on the table put back what was written, or let nothing be written'
}
