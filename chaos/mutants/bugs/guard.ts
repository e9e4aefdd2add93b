// Bugs in what must hold on an order's row.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the edits are source text.

import type { PlantedBug } from '../planted-bug.js'

const GUARD = 'lib/rows/guard.ts'

export const GUARD_BUGS: readonly PlantedBug[] = [
  {
    name: 'no-deadline-in-guard',
    about: ['deadline', 'since'],
    what: "the deadline taken out of the UPDATE's guard",
    edits: [
      {
        file: GUARD,
        find: 'this.appliesSql, this.dueSql, this.eligibleSql, this.notDeletedSql',
        replace: 'this.appliesSql, this.eligibleSql, this.notDeletedSql',
      },
    ],
    suites: ['test/faults/clocks.test.ts', 'test/faults/races.test.ts', 'test/worker/worker.test.ts'],
    likely: 'by which keys come five seconds too early',
  },
  {
    name: 'no-status-in-guard',
    about: ['deadline'],
    what: "the status taken out of the UPDATE's guard",
    edits: [
      {
        file: GUARD,
        find: 'this.appliesSql, this.dueSql, this.eligibleSql, this.notDeletedSql',
        replace: 'this.dueSql, this.eligibleSql, this.notDeletedSql',
      },
    ],
    suites: ['test/worker/worker.test.ts', 'test/rows/settlement-transaction.test.ts', 'test/faults/races.test.ts'],
    likely: 'does nothing about an order that was confirmed by hand',
  },
  {
    name: 'deleted-is-settled',
    about: ['scope'],
    what: "an order that was soft-deleted is settled, because the guard lacks the model's deletedAt",
    edits: [
      {
        file: GUARD,
        find: 'this.appliesSql, this.dueSql, this.eligibleSql, this.notDeletedSql',
        replace: 'this.appliesSql, this.dueSql, this.eligibleSql',
      },
    ],
    suites: ['test/rows/settlement-transaction.test.ts', 'test/sequelize/scope.test.ts'],
    likely: 'soft-deleted',
  },
  {
    name: 'default-scope-narrows',
    about: ['scope'],
    what: "the model's default scope taken for one that the shop has chosen",
    edits: [{ file: 'lib/sequelize/scope.ts', find: 'return scoped && _scope ? _scope : {}', replace: 'return _scope ?? {}' }],
    suites: ['test/sequelize/scope.test.ts', 'test/auto/bulk.test.ts'],
    likely: 'settles what a default scope leaves out',
  },
  {
    name: 'paused-is-settled',
    about: ['declaredPause'],
    what: 'an order whose "pause.while" holds is settled until a sweep has stored its time',
    edits: [{ file: GUARD, find: 'allOf([this.whereSql, this.notPausedSql])', replace: 'allOf([this.whereSql])' }],
    suites: ['test/life/pause.test.ts', 'test/auto/trigger.test.ts', 'test/admin/plan.test.ts'],
    likely: 'counts from the moment that raw SQL opens a dispute',
  },
  {
    name: 'where-is-forgotten',
    about: ['where'],
    what: 'an order that "where" holds back is settled',
    edits: [{ file: GUARD, find: 'allOf([this.whereSql, this.notPausedSql])', replace: 'allOf([this.notPausedSql])' }],
    suites: ['test/rows/settlement-transaction.test.ts', 'test/rows/look.test.ts', 'test/life/reminders.test.ts'],
    likely: 'holds back what "where" holds back',
  },
  {
    name: 'unknown-is-paused',
    about: ['declaredPause'],
    what: 'a "pause.while" over NULL, neither true nor false, pauses for ever',
    edits: [{ file: GUARD, find: '`${paused} IS NOT TRUE`', replace: '`${paused} IS FALSE`' }],
    suites: ['test/life/pause.test.ts', 'test/auto/trigger.test.ts'],
    likely: 'that has never been said to hold or not',
  },
  {
    name: 'stale-by-alarm',
    about: ['stale'],
    what: 'only the sweep knows "staleAfter": an order that is overdue by years is settled when it is scheduled',
    edits: [
      {
        file: GUARD,
        find: "allOf([this.deadlineIs('<=', 'now()'), waitedSql ? `(${fresh} OR ${waitedSql})` : fresh])",
        replace: "allOf([this.deadlineIs('<=', 'now()')])",
      },
    ],
    suites: ['test/rows/settlement-transaction.test.ts', 'test/life/reminders.test.ts'],
    likely: 'stale',
  },
  {
    name: 'cancelled-is-filled',
    about: ['backfill', 'cancel'],
    what: 'under "backfill" a cancelled timer is NULL, and so gets a new deadline at the next sweep',
    edits: [{ file: GUARD, find: "this.noTimerSql = backfilled ? NO_TIMER_AT : 'NULL'", replace: "this.noTimerSql = 'NULL'" }],
    suites: ['test/life/deadlines.test.ts', 'test/life/returning.test.ts'],
    likely: 'cancel stays cancelled',
  },
  {
    name: 'stale-line-for-since',
    about: ['since', 'stale'],
    what: 'under "since" the stale line is compared with the start instead of the deadline',
    edits: [
      {
        file: GUARD,
        find: "${plusMs ? ` - ${intervalSql(plusMs)}` : ''}`",
        replace: "${plusMs && instant !== this.staleLineSql ? ` - ${intervalSql(plusMs)}` : ''}`",
      },
    ],
    suites: ['test/rows/settlement-transaction.test.ts', 'test/admin/sweep-once.test.ts'],
    likely: 'from the deadline, and not from',
  },
]
