// A rule with `dryRun` settles nothing, and says what it would settle: what is due, once for each deadline and process.

import type { RuleFacts } from '../../history.js'
import { allowedMs } from '../allowance.js'
import { latestClock, productClock, trueTimes } from '../clock.js'
import { anomaly, type Breach, type Invariant } from '../invariant.js'
import { isWorker, type Order, SLACK_MS } from '../orders.js'
import { applies, deadlineColumn, deadlineOf, isSame } from '../rule-facts.js'
import type { Run } from '../run.js'

/** One order in a worker's event. */
interface Said {
  by: string
  at: number
  deadline: number | null
}

export const dryRun: Invariant = {
  name: 'dry-run',
  holds:
    'Under a rule with `dryRun` no worker changes an order; each that is due is reported by the next sweep, and none that was not due, none twice for one deadline by one process.',
  judge: ({ orders, run }) => {
    const said = saidOf(run)
    return orders.flatMap((order) =>
      order.rules.flatMap((rule) =>
        rule.dryRun
          ? [...breaches(order, rule, said.get(`${rule.kind} ${order.id}`) ?? [], run)].map((each) =>
              anomaly('dry-run', 'dryRun', order.name, each),
            )
          : [],
      ),
    )
  },
}

function saidOf({ told }: Run): Map<string, Said[]> {
  const said = new Map<string, Said[]>()
  for (const { event, kind, by, at, details } of told) {
    if (event !== 'dryRun') continue
    for (const { id, deadline } of (details?.orders ?? []) as { id: string; deadline: number | null }[]) {
      const name = `${kind} ${id}`
      said.set(name, [...(said.get(name) ?? []), { by: `${by} ${details?.pid}`, at, deadline }])
    }
  }
  return said
}

function* breaches({ changes }: Order, rule: RuleFacts, said: readonly Said[], run: Run): Iterable<Breach> {
  const column = deadlineColumn(rule) as string
  const changed = changes.find(
    ({ by, from, to }) => isWorker(by) && applies(rule, from) && (!applies(rule, to) || from?.[column] !== to?.[column]),
  )
  if (changed) yield { message: `${rule.kind} only says what it would do, and ${changed.by} changed it`, evidence: { changed } }

  const seen = new Set<string>()
  for (const one of said) {
    const name = `${one.by} ${one.deadline}`
    if (seen.has(name)) yield { message: `${rule.kind} was said twice to be about to settle it`, evidence: { one, said } }
    seen.add(name)
    const wasOn = changes.some(
      ({ to, trueAt }) => trueAt <= one.at + SLACK_MS && applies(rule, to) && isSame(deadlineOf(rule, to), one.deadline),
    )
    const clock = latestClock(run, productClock(run, one.at), one.at)
    if (wasOn && one.deadline !== null && clock >= one.deadline - SLACK_MS) continue
    yield { message: `${rule.kind} was said to be about to settle it, and it was not due`, evidence: { one, changes } }
  }

  const last = changes.at(-1)
  const deadline = last && applies(rule, last.to) ? deadlineOf(rule, last.to) : undefined
  if (!last || deadline === undefined || said.some((one) => isSame(one.deadline, deadline))) return
  const dueAt = Math.max(last.trueAt, run.healedAt, ...trueTimes(run, deadline))
  if (run.endedAt - dueAt <= allowedMs(run)) return
  yield {
    message: `${rule.kind} never said that it would settle it, ${Math.round(run.endedAt - dueAt)} ms after it was due`,
    evidence: { last },
  }
}
