// Bugs in what follows a settlement: the history, `afterCommit`, reminders.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the edits are source text.

import type { PlantedBug } from '../planted-bug.js'

const HISTORY = 'lib/rows/history.ts'
const DELIVERIES = 'lib/worker/settling/deliveries.ts'
const REMINDER = 'lib/rules/reminder.ts'

const STAND_STILL = 'test/faults/workers-stand-still.test.ts'

export const DELIVERY_BUGS: readonly PlantedBug[] = [
  {
    name: 'delivered-before-work',
    about: ['afterCommit', 'history'],
    what: 'a delivery is acknowledged before "afterCommit" has run, so that it is lost with its worker',
    edits: [
      {
        file: DELIVERIES,
        find: '    try {\n      await timeLimits.run(rule, async (signal) => afterCommit(orders, { idempotencyKeys, signal }))',
        replace:
          '    if (history) await this.note(rule, () => history.markDelivered(pending.map(({ entry }) => entry)))\n    try {\n      await timeLimits.run(rule, async (signal) => afterCommit(orders, { idempotencyKeys, signal }))',
      },
    ],
    suites: ['test/life/after-commit.test.ts', STAND_STILL],
    likely: 'killed',
  },
  {
    name: 'another-key-again',
    about: ['afterCommit', 'history'],
    what: 'a redelivery has another idempotency key than the first delivery',
    edits: [
      {
        file: HISTORY,
        find: 'idempotencyKey(this.kind, order_id, deadline_ms ?? entry)',
        replace: 'idempotencyKey(this.kind, order_id, deadline_ms === null ? entry : `${deadline_ms}#${attempts}`)',
      },
    ],
    suites: ['test/life/after-commit.test.ts', STAND_STILL, 'test/faults/redelivery.test.ts'],
    likely: 'under the same key',
  },
  {
    name: 'no-grace',
    about: ['afterCommit', 'history'],
    what: 'another worker may redeliver while the first delivery is under way',
    edits: [
      {
        file: HISTORY,
        find: '`1, clock_timestamp() + ${intervalSql(2 * this.timeoutMs + MARGIN_MS)}`',
        replace: "'1, clock_timestamp()'",
      },
    ],
    suites: ['test/life/after-commit.test.ts', 'test/life/history.test.ts', STAND_STILL],
  },
  {
    name: 'delivered-for-ever',
    about: ['afterCommit'],
    what: 'an "afterCommit" that fails is tried again for ever, whatever "attempts" says',
    edits: [
      {
        file: DELIVERIES,
        find: 'history.markFailed(entries, errorText(error), dead ? undefined : retryInMs, attempts)',
        replace: 'history.markFailed(entries, errorText(error), retryInMs, attempts)',
      },
    ],
    suites: ['test/life/after-commit.test.ts'],
    likely: 'after "attempts" it is dead',
  },
  {
    name: 'failed-batch-not-kept',
    about: ['afterCommit'],
    what: 'where "afterCommit" fails on a batch, only its first order is delivered again',
    edits: [
      {
        file: DELIVERIES,
        find: 'if (history) await this.fail(rule, history, pending, 1, error)',
        replace:
          'if (history) {\n        await this.note(rule, () => history.markDelivered(pending.slice(1).map(({ entry }) => entry)))\n        await this.fail(rule, history, pending.slice(0, 1), 1, error)\n      }',
      },
    ],
    suites: ['test/life/after-commit.test.ts', 'test/faults/redelivery.test.ts'],
    likely: 'is tried again one by one',
  },
  {
    name: 'history-forgets-from',
    about: ['history'],
    what: 'the history has the new status as the one that the order came from',
    edits: [
      {
        file: 'lib/rows/settlement-sql.ts',
        find: '...(record ? [`${DUE}.${FROM}`, `${DUE}.${DEADLINE}`] : [deadlineMsSql(DUE)]),',
        replace:
          '...(record ? [`${move ? `${table.column(move.status)}::text` : `${DUE}.${FROM}`} AS ${FROM}`, `${DUE}.${DEADLINE}`] : [deadlineMsSql(DUE)]),',
      },
    ],
    suites: ['test/life/history.test.ts', 'test/auto/cascade.test.ts'],
  },
  {
    name: 'history-of-start',
    about: ['history'],
    what: 'under "since" the history has the start of the time for the deadline',
    edits: [
      {
        file: 'lib/rows/settlement-sql.ts',
        find: '`${guard.finiteDeadlineSql} AS ${DEADLINE}`,',
        replace: '`${guard.deadlineColumn ?? guard.deadlineSql} AS ${DEADLINE}`,',
      },
    ],
    suites: ['test/life/history.test.ts', 'test/life/after-commit.test.ts'],
  },
  {
    name: 'reminded-once-for-all',
    about: ['reminders', 'history'],
    what: 'an order is reminded once in its life, and not once for each deadline',
    edits: [
      {
        file: HISTORY,
        find: 'ON ${table} (kind, order_id, deadline, reminder) WHERE',
        replace: 'ON ${table} (kind, order_id, reminder) WHERE',
      },
      {
        file: HISTORY,
        find: 'ON CONFLICT (kind, order_id, deadline, reminder) WHERE',
        replace: 'ON CONFLICT (kind, order_id, reminder) WHERE',
      },
    ],
    suites: ['test/life/reminders.test.ts'],
    likely: 'comes again for another deadline',
  },
  {
    name: 'reminded-again',
    about: ['reminders'],
    what: 'a reminder that was sent is looked for again by every sweep',
    edits: [{ file: REMINDER, find: '    unless: history.reminded(label, ownDeadline),\n', replace: '' }],
    suites: ['test/life/reminders.test.ts'],
  },
  {
    name: 'reminded-too-late',
    about: ['reminders', 'stale'],
    what: 'a reminder is sent however late it is, also after the deadline',
    edits: [{ file: REMINDER, find: '    staleAfterMs,\n    unverifiedSince', replace: '    unverifiedSince' }],
    suites: ['test/life/reminders.test.ts'],
    likely: 'that is late by more than its "staleAfter"',
  },
  {
    name: 'reminded-before-start',
    about: ['reminders', 'since'],
    what: 'under "since" a reminder is counted from the start instead of the deadline',
    edits: [{ file: REMINDER, find: 'plusMs: deadline.plusMs - beforeMs }', replace: 'plusMs: -beforeMs }' }],
    suites: ['test/life/reminders.test.ts'],
    likely: 'is there for "since" too',
  },
]
