// Bugs of runs over many orders: what is moved, how often, and what is settled meanwhile.

import type { PlantedBug } from '../planted-bug.js'

const RUNNER = 'lib/timers/bulk/runner.ts'
const SUITES = ['test/timers/bulk/calls.test.ts', 'test/operations/bulk.test.ts']

export const BULK_BUGS: readonly PlantedBug[] = [
  {
    name: 'bulk-cursor-apart',
    about: ['calls'],
    what: "a run's place is written after the commit of what it moved, so that a portion is moved again",
    edits: [
      {
        file: RUNNER,
        find: 'await runs.moved(id, { cursor, skipped }, portion.ids.length, this.runtime.identity.id, transaction)',
        replace: `setTimeout(() => {
          const note = (later: typeof transaction) => runs.moved(id, { cursor, skipped }, portion.ids.length, this.runtime.identity.id, later)
          void inTransaction(runs.sequelize, LIMITS, note).catch(() => {})
        }, 50)`,
      },
    ],
    suites: SUITES,
    likely: 'moves each deadline of the orders that are meant',
  },
  {
    name: 'bulk-by-deadline',
    about: ['calls'],
    what: 'a run takes its orders by deadline, which it changes, and goes on behind the greatest id: orders are passed over',
    edits: [
      {
        file: 'lib/rows/run-sql.ts',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the source of a template
        find: 'ORDER BY ${table.id}${limit}',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the source of a template
        replace: 'ORDER BY ${this.guard.deadlineColumn}${limit}',
      },
    ],
    suites: SUITES,
    likely: 'moves each deadline of the orders that are meant',
  },
  {
    name: 'bulk-silent',
    about: ['calls'],
    what: 'a run says nothing while it waits, and is told to have been left',
    edits: [
      {
        file: RUNNER,
        find: '    beat()\n    const timer = setInterval(beat, this.patience.beatMs)',
        replace: '    const timer = setInterval(() => {}, this.patience.beatMs)',
      },
    ],
    suites: SUITES,
    likely: 'carried out also while it waits',
  },
  {
    name: 'bulk-not-held',
    about: ['calls', 'sweep'],
    what: 'a run does not hold its kind: an order ahead of it is settled at its old deadline',
    edits: [
      {
        file: 'lib/timers/bulk/calls.ts',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the source of a template
        find: "await rule.row.holds.place({ owner: RUN_OWNER, reason: `${task.action}${reason ? `: ${reason}` : ''}`, by: user }, begin)",
        replace: 'await rule.row.holds.write(begin)',
      },
    ],
    suites: SUITES,
    likely: 'holds the kind until the run has ended',
  },
]
