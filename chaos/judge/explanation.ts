// Every change of one row explained by exactly one cause, and every acknowledged wish by at most one change. A wish whose answer is unknown may
// explain a change or none. Which wish explains which change is a matching, since several shops act on one order at once and their changes may be alike.

import type { Change, Wish } from '../history.js'
import { isIdle } from './idle.js'
import { Matching } from './matching.js'
import { isWorker, type Order } from './orders.js'
import { isAskedWrite } from './own-writes.js'
import type { Run } from './run.js'
import { statesWithin } from './states.js'
import { changedColumns, fits, isOwnWrite } from './wish-fits.js'
import { workerCause } from './worker-causes.js'

export interface Explanation {
  /** By the change's number: the wish that it carries out. */
  wishOf: Map<number, Wish>
  unexplained: Change[]
  /** Acknowledged, and neither carried out by a change nor idle. */
  unanswered: Wish[]
}

const known = new WeakMap<Order, Explanation>()

/** The same order is explained once. */
export function explain(order: Order, run: Run): Explanation {
  let explanation = known.get(order)
  if (!explanation) {
    explanation = explained(order, run)
    known.set(order, explanation)
  }
  return explanation
}

function explained(order: Order, run: Run): Explanation {
  const { changes, wishes } = order
  const ruleOf = (wish: Wish) => order.rules.find(({ kind }) => kind === wish.kind)
  const byNumber = new Map(changes.flatMap((change) => (change.wish === undefined ? [] : [[change.wish, change.txid]])))
  const isTogether = ({ within }: Wish, { txid }: Change) => within === undefined || byNumber.get(within) === txid
  const isCarriedOut = (wish: Wish, change: Change) =>
    isTogether(wish, change) && fits(ruleOf(wish), wish, change, run) && (!isOwnWrite(wish) || isAskedWrite(order.rules, wish, change))

  const byOthers = changes.filter((change) => !isExplainedByWorker(order, change))
  const matching = new Matching(byOthers.length, wishes.length, (left, right) => isCarriedOut(wishes[right]!, byOthers[left]!))
  const unanswered = wishes.filter((wish, index) => mustBeAnswered(order, wish, run) && !matching.matchRight(index))
  const unexplained = byOthers.filter((change, index) => !matching.matchLeft(index) && !isIdleChange(change))
  const wishOf = byOthers.flatMap(({ n }, index) => {
    const right = matching.ofLeft(index)
    return right === undefined ? [] : [[n, wishes[right] as Wish] as const]
  })
  return { wishOf: new Map(wishOf), unexplained, unanswered }
}

/** By a settlement, with what `run` wrote in its transaction, or by the sweep. */
function isExplainedByWorker({ settlements, rules }: Order, change: Change): boolean {
  if (!isWorker(change.by)) return false
  const isSettlements = settlements.some((each) => each.change === change || (each.rule.run && each.change.txid === change.txid))
  return isSettlements || workerCause(rules, change) !== undefined || isIdleChange(change)
}

function isIdleChange({ op, from, to }: Change): boolean {
  return op === 'update' && changedColumns(from, to).length === 0
}

function mustBeAnswered(order: Order, wish: Wish, run: Run): boolean {
  if (wish.answer !== 'ok' || (order.changes.length === 0 && wish.table === null)) return false
  const rule = order.rules.find(({ kind }) => kind === wish.kind)
  if (rule && rule.deadline === 'redis' && !isOwnWrite(wish)) return false
  return !statesWithin(order, wish.invokedAt, wish.completedAt).some((state) => isIdle(rule, wish, state, run))
}
