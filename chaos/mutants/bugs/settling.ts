// Bugs in settling: the transaction, the shop's own work in it, the reasons why an order was not settled, the brake, failed attempts.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the edits are source text.

import type { PlantedBug } from '../planted-bug.js'

const OUTCOME = 'lib/rows/settlement-outcome.ts'
const OWN_WORK = 'lib/rows/own-work.ts'
const BRAKE = 'lib/rows/brake.ts'
const SETTLER = 'lib/worker/settling/settler.ts'

export const SETTLING_BUGS: readonly PlantedBug[] = [
  {
    name: 'early-is-done',
    about: ['deadline', 'clocks'],
    what: 'no row updated taken for done when it was not due',
    edits: [{ file: OUTCOME, find: 'answer.early.push({ id, remainingMs: row.remaining_ms })', replace: 'answer.gone.push(id)' }],
    suites: ['test/faults/clocks.test.ts', 'test/worker/worker.test.ts'],
    likely: 'by which keys come five seconds too early',
  },
  {
    name: 'locked-is-gone-in-redis',
    about: ['redisOnly'],
    what: 'an order whose deadline Redis alone has is dropped where its row is locked',
    edits: [{ file: OUTCOME, find: '(row.remaining_ms === null && !isInRedisAlone)', replace: 'row.remaining_ms === null' }],
    suites: ['test/rows/settlement-transaction.test.ts', 'test/life/brake.test.ts'],
    likely: 'Redis alone',
  },
  {
    name: 'held-is-dropped-in-redis',
    about: ['redisOnly', 'where'],
    what: 'an order whose deadline Redis alone has is dropped where "where" or the brake holds it, although no sweep finds it again',
    edits: [
      {
        file: 'lib/worker/settling/outcomes.ts',
        find: 'isSwept(rule) ? undefined : this.lockWaits.next(kind, id)',
        replace: 'undefined',
      },
    ],
    suites: ['test/life/brake.test.ts', 'test/rows/settlement-transaction.test.ts'],
    likely: 'Redis alone',
  },
  {
    name: 'stale-is-locked',
    about: ['stale'],
    what: 'a stale order taken for one whose row is locked, and so tried again and again',
    edits: [{ file: OUTCOME, find: 'else if (!row.eligible || row.stale)', replace: 'else if (!row.eligible)' }],
    suites: ['test/rows/settlement-transaction.test.ts', 'test/admin/order-counts.test.ts'],
    likely: 'stale',
  },
  {
    name: 'no-skip-locked',
    about: ['deadline', 'postgres'],
    what: 'the settling statement without SKIP LOCKED',
    edits: [
      {
        file: 'lib/rows/settlement-sql.ts',
        find: '${limit} FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED',
        replace: '${limit} FOR NO KEY UPDATE OF ${table.alias}',
      },
    ],
    suites: ['test/rows/settlement-transaction.test.ts', 'test/faults/postgres-goes.test.ts'],
    likely: 'puts off an order whose row is locked',
  },
  {
    name: 'run-not-awaited',
    about: ['run', 'effect'],
    what: 'a lost await: the transaction commits while "run" is still at work',
    edits: [{ file: OWN_WORK, find: 'await run(instances.slice(', replace: 'void run(instances.slice(' }],
    suites: ['test/rules/effect.test.ts', 'test/rows/settlement-transaction.test.ts', 'test/faults/failing-handlers.test.ts'],
  },
  {
    name: 'effect-unchecked',
    about: ['effect', 'since'],
    what: 'an effect that leaves its order due is not noticed, and runs again and again',
    edits: [
      {
        file: OWN_WORK,
        find: 'return this.savesInstances || (!this.row.move && this.row.guard.deadlineColumn !== undefined)',
        replace: 'return this.savesInstances',
      },
    ],
    suites: ['test/rules/effect.test.ts', 'test/life/returning.test.ts'],
    likely: 'STILL_DUE',
  },
  {
    name: 'effect-unmarked',
    about: ['effect', 'backfill'],
    what: 'under "backfill" an effect that leaves "where" as it is gets a new deadline each time',
    edits: [
      {
        file: 'lib/rows/settlement-sql.ts',
        find: "if (move || deadline.in !== 'column' || guard.noTimerSql === NOT_IN_FROM) return ''",
        replace: "if (move || deadline.in !== 'column' || guard.noTimerSql !== NOT_IN_FROM) return ''",
      },
    ],
    suites: ['test/life/returning.test.ts', 'test/rules/effect.test.ts'],
    likely: 'is not settled for ever by an effect',
  },
  {
    name: 'swallowed-error-commits',
    about: ['run', 'failures'],
    what: 'an order is told as settled although its "run" swallowed an SQL error, and COMMIT rolled back',
    edits: [
      {
        file: 'lib/rows/settlement-transaction.ts',
        find: 'if (afterOwnWork) await rows(sequelize, STILL_OPEN, undefined, transaction)',
        replace: '',
      },
    ],
    suites: ['test/faults/failing-handlers.test.ts', 'test/faults/transactions.test.ts'],
    likely: 'swallowed an SQL error',
  },
  {
    name: 'hooks-keep-deadline',
    about: ['individualHooks', 'backfill'],
    what: 'an order that is saved by itself keeps its deadline when it is settled',
    edits: [
      { file: OWN_WORK, find: "      ...(deadline.in === 'column' ? { [deadline.attribute]: null } : {}),\n", replace: '' },
      { file: OWN_WORK, find: 'const { move, deadline } = this.row', replace: 'const { move } = this.row' },
    ],
    suites: ['test/rules/individual-hooks.test.ts', 'test/life/deadlines.test.ts'],
  },
  {
    name: 'hooks-forget-set',
    about: ['individualHooks'],
    what: 'an order that is saved by itself does not get what "set" says',
    edits: [{ file: OWN_WORK, find: '      ...this.row.set,\n', replace: '' }],
    suites: ['test/rules/individual-hooks.test.ts'],
  },
  {
    name: 'hooks-unchecked',
    about: ['individualHooks'],
    what: 'an order that a hook kept from being saved is told as settled',
    edits: [
      {
        file: OWN_WORK,
        find: 'return this.savesInstances || (!this.row.move && this.row.guard.deadlineColumn !== undefined)',
        replace: 'return !this.row.move && this.row.guard.deadlineColumn !== undefined',
      },
    ],
    suites: ['test/rows/vetoes.test.ts', 'test/rules/individual-hooks.test.ts'],
  },
  {
    name: 'brake-forgets-itself',
    about: ['brake'],
    what: 'a rule that its brake has stopped goes on when the period is over, although nobody released it',
    edits: [
      {
        file: BRAKE,
        find: 'orders: braked ? 0 : Math.max(0, this.limit.max - settled)',
        replace: 'orders: Math.max(0, this.limit.max - settled)',
      },
    ],
    suites: ['test/life/brake.test.ts', 'test/admin/release.test.ts'],
    likely: 'is not over when its period is',
  },
  {
    name: 'brake-counts-on',
    about: ['brake'],
    what: "the brake's count is not begun again when its period is over",
    edits: [{ file: BRAKE, find: 'CASE WHEN ${over} THEN 0 ELSE b.settled END', replace: 'b.settled' }],
    suites: ['test/life/brake.test.ts'],
    likely: 'lets so many pass',
  },
  {
    name: 'brake-per-batch',
    about: ['brake'],
    what: 'the brake counts what a batch has settled only where it was over: each batch has the whole allowance',
    edits: [{ file: BRAKE, find: 'if (settled === 0 && !over) return', replace: 'if (!over) return' }],
    suites: ['test/life/brake.test.ts', 'test/admin/sweep-once.test.ts'],
  },
  {
    name: 'error-swallowed',
    about: ['handler', 'failures'],
    what: "a handler's error swallowed and the timer dropped",
    edits: [
      {
        file: SETTLER,
        find: 'await this.countAttempt(work, ids[0] as string, inRule ? error : redactedCause(error), dispositions)',
        replace: '',
      },
    ],
    suites: ['test/faults/failing-handlers.test.ts'],
    likely: 'is settled once by a plain handler that succeeds at its second attempt',
  },
  {
    name: 'handler-not-awaited',
    about: ['handler'],
    what: 'a lost await: a timer is done as soon as its handler has begun',
    edits: [
      {
        file: 'lib/rules/handler.ts',
        find: 'await (handler as Handler)({ kind, ids: [...ids], signal })',
        replace: 'Promise.resolve((handler as Handler)({ kind, ids: [...ids], signal })).catch(() => {})',
      },
    ],
    suites: ['test/rules/handler.test.ts', 'test/faults/failing-handlers.test.ts', 'test/faults/workers-die.test.ts'],
  },
  {
    name: 'one-attempt-more',
    about: ['dead'],
    what: 'a dead letter after one attempt more than "attempts"',
    edits: [{ file: SETTLER, find: 'const dead = attempts >= rule.attempts', replace: 'const dead = attempts > rule.attempts' }],
    suites: ['test/faults/failing-handlers.test.ts', 'test/rows/vetoes.test.ts'],
    likely: 'becomes a dead letter after its attempts',
  },
  {
    name: 'half-is-lost',
    about: ['failures', 'run'],
    what: 'halving a failed batch loses the order in the middle',
    edits: [
      {
        file: SETTLER,
        find: 'await this.settle(work, ids.slice(middle), dispositions)',
        replace: 'await this.settle(work, ids.slice(middle + 1), dispositions)',
      },
    ],
    suites: ['test/faults/failing-handlers.test.ts', 'test/rows/vetoes.test.ts', 'test/rules/effect.test.ts'],
    likely: 'while the other orders of its batch settle at once',
  },
]
