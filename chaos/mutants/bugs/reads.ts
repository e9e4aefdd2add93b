// Bugs in the calls that only read: remaining and list; and in the rules that only say what they would do.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the edits are source text.

import type { PlantedBug } from '../planted-bug.js'

const MANY = 'test/timers/pending-of-many.test.ts'
const ONE = 'test/timers/pending.test.ts'
const DRY_RUN = ['test/life/dry-run.test.ts']

export const READ_BUGS: readonly PlantedBug[] = [
  {
    name: 'remaining-after-leaving',
    about: ['remaining'],
    what: 'the time that remains of an order that has left "from" and kept its deadline',
    edits: [
      {
        file: 'lib/timers/call.ts',
        find: 'return state.inFrom ? state.remainingMs : null',
        replace: 'return state.remainingMs',
      },
    ],
    suites: ['test/timers/call.test.ts', ONE],
    likely: 'remaining',
  },
  {
    name: 'paused-still-counts',
    about: ['remaining', 'list'],
    what: 'an order that a declared pause holds still has a time that remains, until the sweep takes its deadline away',
    edits: [
      {
        file: 'lib/rows/timer-state.ts',
        find: 'CASE WHEN NOT ${paused} THEN ${epochMsSql(guard.deadlineSql)} END AS deadline',
        replace: '${epochMsSql(guard.deadlineSql)} AS deadline',
      },
    ],
    suites: ['test/life/pause.test.ts', MANY],
  },
  {
    name: 'list-after-leaving',
    about: ['list'],
    what: 'a list has the timers of rules that the order has left',
    edits: [{ file: 'lib/timers/pending.ts', find: 'if (!state?.inFrom) return undefined', replace: 'if (!state) return undefined' }],
    suites: [ONE, MANY, 'test/timers/call.test.ts'],
  },
  {
    name: 'many-after-leaving',
    about: ['list', 'remaining'],
    what: 'the timers of many orders have those of orders that have left "from"',
    edits: [{ file: 'lib/timers/pending-of-many.ts', find: 'if (inFrom && (deadline', replace: 'if ((deadline' }],
    suites: [MANY],
  },
  {
    name: 'dry-run-settles',
    about: ['dryRun'],
    what: 'a rule that should only say what it would settle settles it',
    edits: [
      {
        file: 'lib/rows/settlement-transaction.ts',
        find: 'if (this.row.options.dryRun) return this.dryRun(ids)',
        replace: 'if (this.row.options.dryRun && ids.length === 0) return this.dryRun(ids)',
      },
    ],
    suites: DRY_RUN,
  },
  {
    name: 'dry-run-repeats',
    about: ['dryRun'],
    what: 'each sweep says of the same orders again that they would be settled',
    edits: [
      { file: 'lib/worker/reporter.ts', find: 'const fresh = this.memory.newDeadlines(kind, orders)', replace: 'const fresh = orders' },
    ],
    suites: DRY_RUN,
  },
  {
    name: 'watched-by-nobody',
    about: ['redis'],
    what: 'processes tell what happens although nobody watches',
    edits: [
      {
        file: 'lib/redis/presence.ts',
        find: 'return isWatched(records[i + 1], now)\n  return false',
        replace: 'return isWatched(records[i + 1], now)\n  return true',
      },
    ],
    suites: ['test/cli/commands/watch.test.ts'],
  },
  {
    name: 'listed-twice',
    about: ['redis'],
    what: 'the last order of a page is the first of the next one',
    edits: [{ file: 'lib/admin/order-list.ts', find: 'Buffer.from(place.id)) > 0', replace: 'Buffer.from(place.id)) >= 0' }],
    suites: ['test/cli/commands/list.test.ts'],
  },
]
