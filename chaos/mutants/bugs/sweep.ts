// Bugs in the sweep: what it reads, arms, fills and clears.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the edits are source text.

import type { PlantedBug } from '../planted-bug.js'

const MAINTENANCE = 'lib/rows/maintenance.ts'

export const SWEEP_BUGS: readonly PlantedBug[] = [
  {
    name: 'backfill-stops-at-a-batch',
    about: ['backfill', 'sweep'],
    what: 'a sweep fills the deadlines of one batch of orders, and leaves the rest to the next',
    edits: [
      {
        file: 'lib/worker/sweep/row-maintenance.ts',
        find: 'Math.max(...Object.values(counts)) >= BATCH',
        replace: 'Math.max(...Object.values(counts)) > BATCH',
      },
    ],
    suites: ['test/worker/sweep/sweep.test.ts', 'test/life/deadlines.test.ts'],
  },
  {
    name: 'backfill-from-nothing',
    about: ['backfill'],
    what: 'an order whose "backfill.since" is empty never gets a deadline',
    edits: [
      { file: MAINTENANCE, find: '`coalesce(${instantSql(table.column(since))}, now())`', replace: 'instantSql(table.column(since))' },
    ],
    suites: ['test/life/deadlines.test.ts', 'test/admin/plan.test.ts'],
    likely: 'may count from another column',
  },
  {
    name: 'stale-is-paused',
    about: ['declaredPause', 'stale'],
    what: 'a pause by declaration stores the time of a stale order, which is settled as soon as it is over',
    edits: [
      {
        file: MAINTENANCE,
        find: "`${guard.deadlineSql} IS NOT NULL`, guard.deadlineIs('>', guard.staleLineSql), guard.pausedSql",
        replace: '`${guard.deadlineSql} IS NOT NULL`, guard.pausedSql',
      },
    ],
    suites: ['test/life/pause.test.ts', 'test/auto/trigger.test.ts'],
    likely: 'stores no time of what is stale',
  },
  {
    name: 'ties-are-skipped',
    about: ['sweep'],
    what: 'of overdue orders with one deadline, those behind the end of a page are skipped',
    edits: [
      {
        file: 'lib/rows/pending-rows.ts',
        find: '`(${keyset}) > (${parameter(after.deadline)}, ${parameter(after.id)})`',
        replace: '`${deadlineColumn} > ${parameter(after.deadline)}`',
      },
    ],
    suites: ['test/worker/sweep/sweep.test.ts', 'test/admin/sweep-once.test.ts'],
  },
  {
    name: 'later-entry-stays',
    about: ['sweep', 'clocks'],
    what: 'the sweep leaves an entry of the due index that is later than the deadline on the row',
    edits: [
      {
        file: 'lib/redis/lua/arm-missing.lua',
        find: 'local isMissing = not score or tonumber(score) > deadline',
        replace: 'local isMissing = not score',
      },
    ],
    suites: ['test/redis/due-index.test.ts', 'test/faults/clocks.test.ts'],
  },
  {
    name: 'request-during-sweep-lost',
    about: ['sweep'],
    what: 'a sweep that is asked for while one runs is not run',
    edits: [
      {
        file: 'lib/worker/sweep/sweep.ts',
        find: '    this.following ??= following()\n    return this.following.ended\n',
        replace: '    return this.current\n',
      },
    ],
    suites: ['test/worker/sweep/sweep.test.ts', 'test/admin/release.test.ts'],
  },
  {
    name: 'backfill-in-one-transaction',
    about: ['backfill', 'sweep'],
    what: 'the shop\'s own "after" is asked for a thousand orders in one transaction, which locks the first until the last is written',
    edits: [{ file: 'lib/rows/maintenance.ts', find: 'const most = Math.min(limit, MOST_ASKED)', replace: 'const most = limit' }],
    suites: ['test/worker/sweep/sweep.test.ts'],
  },
  {
    name: 'sweep-waits-for-all',
    about: ['sweep'],
    what: 'a sweep has ended only when no other one was asked for meanwhile, so that a worker is never ready where they are asked for faster than they end',
    edits: [
      {
        file: 'lib/worker/sweep/sweep.ts',
        find: 'else void this.begin().then(next.end)\n    })',
        replace: 'else return this.begin().then(next.end)\n    })',
      },
    ],
    suites: ['test/worker/sweep/sweep.test.ts'],
  },
  {
    name: 'coming-deadline-cleared',
    about: ['sweep', 'deadline'],
    what: 'the sweep clears the deadline of an order that is not in "from" yet',
    edits: [
      {
        file: 'lib/rows/left-deadlines.ts',
        find: "this.updateBatch([this.passed, guard.deadlineIs('>', guard.staleLineSql)], limit, transaction)",
        replace: "this.updateBatch([guard.deadlineIs('>', guard.staleLineSql)], limit, transaction)",
      },
    ],
    suites: ['test/life/returning.test.ts'],
    likely: 'before its deadline',
  },
  {
    name: 'memory-claim-stays',
    about: ['sweep', 'redis'],
    what: 'while Redis is away, an order that was claimed once is never claimed again',
    edits: [
      {
        file: 'lib/worker/settling/memory-claims.ts',
        find: '          this.claimed.delete(name)\n',
        replace: '',
      },
    ],
    suites: ['test/worker/settling/memory-claims.test.ts', 'test/timers/call.test.ts', 'test/faults/redis-goes.test.ts'],
  },
  {
    name: 'no-second-look',
    about: ['sweep'],
    what: 'a sweep takes an order that has come back for one that was just settled',
    edits: [
      {
        file: 'lib/worker/sweep/overdue-orders.ts',
        find: 'if (settledBefore === 0) return first',
        replace: 'if (settledBefore >= 0) return first',
      },
    ],
    suites: ['test/life/returning.test.ts'],
    likely: 'settled a moment ago',
  },
]
