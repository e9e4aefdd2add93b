// What a write of the shop's own may make of a row: what it names, and of the timers' columns what `auto`, the trigger and a declared pause say.

import type { Change, Row, RuleFacts, Wish } from '../history.js'
import { enters, leaves, ownColumns, STATUS } from './rule-facts.js'
import { askedColumns, changedColumns, instantOf } from './wish-fits.js'
import { declaredCause } from './worker-causes.js'

/** What every write of the shop writes beside, and what Sequelize does. */
const BESIDE = new Set(['wish', 'updatedAt'])

/** Whether the change has all that the write asked for, and nothing else. */
export function isAskedWrite(rules: readonly RuleFacts[], wish: Wish, change: Change): boolean {
  const { from, to } = change
  if (wish.call === 'remove' || to === null) return true
  const asked = askedOf(wish)
  const started = rules.filter(({ starts }) => starts !== undefined)
  const isOfTimer = (column: string) => started.some((rule) => ownColumns(rule).includes(column))
  if (!Object.entries(asked).every(([column, value]) => isOfTimer(column) || isValue(to[column], value))) return false
  return changedColumns(from, to).every((column) => {
    if (column in asked || BESIDE.has(column)) return true
    const owners = rules.filter((rule) => ownColumns(rule).includes(column))
    // An INSERT has what is the same for every new row.
    if (from === null && owners.length === 0) return true
    return owners.some((rule) => rule.starts !== undefined && isTimers(rule, change))
  })
}

/** Whether `auto` or the trigger writes the timer's columns with this change. */
function isTimers(rule: RuleFacts, change: Change): boolean {
  if (enters(rule, change) || leaves(rule, change)) return true
  const { from, to, at } = change
  return rule.starts === 'trigger' && from !== null && to !== null && declaredCause(rule, from, to, at) !== undefined
}

function askedOf(wish: Wish): Record<string, unknown> {
  const { from: _from, to, feature: _feature, set: _set, ...columns } = { ...wish.asked, ...askedColumns(wish) }
  return { ...columns, ...(to !== undefined && { [STATUS]: to }) }
}

/** NULL is left out of a row. A date may be text in a journal, and numbers are text where the column has many digits. */
function isValue(found: Row[string] | undefined, asked: unknown): boolean {
  if (asked == null) return found === undefined
  return String(found) === String(asked) || (typeof found === 'number' && found === instantOf(asked))
}
