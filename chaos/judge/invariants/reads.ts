// What `remaining` and `list` answer is what the row had at some moment while they ran. Each rule is asked by a statement of its own, so each is
// judged by itself. What Redis alone has is not judged here.

import type { ListedTimer, Row, RuleFacts, Wish } from '../../history.js'
import { trueTimes } from '../clock.js'
import { ofEachOrder } from '../invariant.js'
import { type Order, SLACK_MS } from '../orders.js'
import { applies, deadlineOf, isHeld, keptOf, wholeMs } from '../rule-facts.js'
import type { Run } from '../run.js'
import { statesWithin } from '../states.js'

/** Of one rule; null for no timer. */
type Answer = Pick<ListedTimer, 'remaining'> & Partial<ListedTimer>

export const reads = ofEachOrder(
  'reads',
  'What `remaining` and `list` answer of a timer on the row was so at some moment between invocation and answer.',
  function* (order, { run }) {
    for (const wish of order.wishes) {
      if (wish.answer !== 'ok' || !wish.got) continue
      const answers = answersOf(order, wish)
      const strange = wish.got.list?.find(({ kind }) => order.rules.every((rule) => rule.kind !== kind))
      if (strange) yield { message: `"list" has a timer of ${strange.kind}, which is no rule of this table`, evidence: { wish } }
      if (answers.length === 0) continue
      const states = statesWithin(order, wish.invokedAt, wish.completedAt)
      for (const [rule, answer] of answers) {
        if (states.some((state) => isSo(run, rule, answer, wish, state))) continue
        const said = answer === null ? 'no timer' : `${Math.round(answer.remaining)} ms`
        yield { message: `"${wish.call}" answered ${said} of ${rule.kind}, which was never so while it ran`, evidence: { wish, states } }
      }
    }
  },
)

/** What was said of each rule that has its deadlines on the row. */
function answersOf({ rules }: Order, { call, kind, got }: Wish): [RuleFacts, Answer | null][] {
  const onRow = rules.filter(({ deadline }) => deadline !== 'redis')
  const { remaining, list } = got ?? {}
  if (call === 'list' && list) return onRow.map((rule) => [rule, list.find((timer) => timer.kind === rule.kind) ?? null])
  if (call !== 'remaining' || remaining === undefined) return []
  return onRow.filter((rule) => rule.kind === kind).map((rule) => [rule, remaining === null ? null : { remaining }])
}

function isSo(run: Run, rule: RuleFacts, answer: Answer | null, { invokedAt, completedAt }: Wish, state: Row | null): boolean {
  const deadline = timerOf(rule, state)
  if (deadline === undefined || answer === null) return deadline === undefined && answer === null
  if (answer.deadline !== undefined && answer.deadline !== wholeMs(deadline)) return false
  const [from, to] = [invokedAt - SLACK_MS, completedAt + SLACK_MS]
  const lookedAt = trueTimes(run, deadline - answer.remaining)
  return answer.remaining > 0 ? lookedAt.some((at) => at >= from && at <= to) : lookedAt.some((at) => at <= to)
}

function timerOf(rule: RuleFacts, state: Row | null): number | undefined {
  const isRunning = applies(rule, state) && !isHeld(rule, state) && keptOf(rule, state) === undefined
  return isRunning ? deadlineOf(rule, state) : undefined
}
