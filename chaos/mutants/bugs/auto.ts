// Bugs in timers that start by themselves: the hooks on models, the trigger in Postgres, cascades from one rule to the next.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the edits are source text.

import type { PlantedBug } from '../planted-bug.js'

const RULE = 'lib/auto/rule.ts'
const TRIGGER = 'lib/auto/trigger.ts'
const CASCADE = 'lib/auto/cascade.ts'

const HOOKS = ['test/auto/instances.test.ts', 'test/auto/bulk.test.ts']

export const AUTO_BUGS: readonly PlantedBug[] = [
  {
    name: 'auto-restarts',
    about: ['auto'],
    what: 'a save of the status restarts the timer of an order that is in "from" already',
    edits: [
      {
        file: RULE,
        find: 'return { [field]: `CASE WHEN ${this.was} THEN ${sql} ELSE ${entered} END`, ...Object.fromEntries(reset) }',
        replace: 'return { [field]: this.isGiven(values) ? sql : entered, ...Object.fromEntries(reset) }',
      },
    ],
    suites: HOOKS,
    likely: 'already',
  },
  {
    name: 'auto-before-commit',
    about: ['auto'],
    what: "a hooked statement arms its timer before the shop's transaction has committed",
    edits: [
      {
        file: 'lib/auto/statement.ts',
        find: 'if (transaction) afterCommit(transaction, work)\n    else await work()',
        replace: 'if (transaction) void work()\n    else await work()',
      },
    ],
    suites: HOOKS,
    likely: 'commit',
  },
  {
    name: 'auto-keeps-count',
    about: ['auto', 'extend'],
    what: 'an order that comes into "from" again keeps the count of its extensions',
    edits: [
      {
        file: RULE,
        find: 'const reset = [this.keep, this.extended].flatMap((attribute) =>',
        replace: 'const reset = [this.keep].flatMap((attribute) =>',
      },
    ],
    suites: HOOKS,
    likely: 'clears what a pause and extensions have left',
  },
  {
    name: 'auto-keeps-pause',
    about: ['auto', 'pause'],
    what: 'an order that leaves "from" while its timer is paused keeps the time of that pause',
    edits: [{ file: RULE, find: "const kept = this.keep ? { [this.keep.field]: 'NULL' } : {}", replace: 'const kept = {}' }],
    suites: [...HOOKS, 'test/life/returning.test.ts', 'test/life/pause.test.ts'],
  },
  {
    name: 'auto-skips-a-portion',
    about: ['auto'],
    what: 'of thousands of timers that one statement starts, each second portion is not armed',
    edits: [
      {
        file: 'lib/auto/arming.ts',
        find: 'first < started.length; first += PORTION)',
        replace: 'first < started.length; first += 2 * PORTION)',
      },
    ],
    suites: ['test/auto/bulk.test.ts', 'test/auto/instances.test.ts'],
    likely: 'arms thousands of timers',
  },
  {
    name: 'auto-ignores-no-row',
    about: ['auto'],
    what: 'a save that changed no row, since another was faster, ends the timer of the order all the same',
    edits: [{ file: 'lib/auto/queries.ts', find: 'if (result[1] === 0) return result', replace: '' }],
    suites: HOOKS,
    likely: 'optimistic locking',
  },
  {
    name: 'auto-since-at-once',
    about: ['auto', 'since'],
    what: 'under "since" a hooked statement arms the timer for the start instead of the deadline',
    edits: [
      {
        file: RULE,
        find: 'epochMsSql(this.sinceMs === 0 ? start : `${start} + ${intervalSql(this.sinceMs)}`)',
        replace: 'epochMsSql(this.sinceMs < 0 ? `${start} + ${intervalSql(this.sinceMs)}` : start)',
      },
    ],
    suites: [...HOOKS, 'test/auto/cascade.test.ts'],
    likely: '"since" rule',
  },
  {
    name: 'trigger-restarts',
    about: ['trigger'],
    what: 'the trigger restarts the timer with every write to an order in "from"',
    edits: [
      {
        file: TRIGGER,
        find: "'IF order_timers_is AND NOT order_timers_was THEN',",
        replace: "'IF order_timers_is THEN',",
      },
    ],
    suites: ['test/auto/trigger.test.ts', 'test/auto/shapes.test.ts'],
  },
  {
    name: 'trigger-overwrites',
    about: ['trigger'],
    what: 'the trigger overwrites a deadline that the same statement writes',
    edits: [
      { file: TRIGGER, find: '`  IF NOT (${given}) THEN ${starts} END IF;`', replace: '`  IF TRUE OR (${given}) THEN ${starts} END IF;`' },
    ],
    suites: ['test/auto/trigger.test.ts'],
  },
  {
    name: 'trigger-keeps-count',
    about: ['trigger', 'extend'],
    what: 'under the trigger an order that comes into "from" again keeps the count of its extensions',
    edits: [{ file: TRIGGER, find: '...[...kept, ...counted].map(', replace: '...[...kept, ...counted.slice(1)].map(' }],
    suites: ['test/auto/trigger.test.ts', 'test/auto/shapes.test.ts', 'test/life/deadlines.test.ts'],
  },
  {
    name: 'trigger-keeps-pause',
    about: ['trigger', 'pause'],
    what: 'under the trigger an order that leaves "from" while it is paused keeps the time of that pause',
    edits: [
      {
        file: TRIGGER,
        find: '...[`NEW.${deadline} := ${NOT_IN_FROM};`, ...kept].map(',
        replace: '...[`NEW.${deadline} := ${NOT_IN_FROM};`].map(',
      },
    ],
    suites: ['test/auto/trigger.test.ts', 'test/auto/shapes.test.ts', 'test/life/returning.test.ts'],
  },
  {
    name: 'cascade-not-armed',
    about: ['cascade'],
    what: 'the timer that a settlement starts is on the row and not in Redis',
    edits: [
      {
        file: 'lib/worker/settling/outcomes.ts',
        find: 'for (const { kind, id, deadlineMs } of settlement.startedTimers ?? []) arm(kind, id, deadlineMs)',
        replace: '',
      },
    ],
    suites: ['test/auto/cascade.test.ts', 'test/auto/shapes.test.ts'],
  },
  {
    name: 'cascade-keeps-ended',
    about: ['cascade'],
    what: 'a settlement that takes an order out of the "from" of another rule leaves that rule\'s deadline on the row',
    edits: [{ file: CASCADE, find: 'if (!starts && !ends) continue', replace: 'if (!starts) continue' }],
    suites: ['test/auto/cascade.test.ts', 'test/auto/shapes.test.ts', 'test/life/returning.test.ts'],
  },
  {
    name: 'cascade-to-later-rules',
    about: ['cascade'],
    what: 'a rule that was bound before the rule with "auto" does not know it',
    edits: [
      {
        file: 'lib/timers/bound-rules.ts',
        find: 'for (const rule of isHooking(added) ? bound : [added]) linkCascade(rule, autoRules)',
        replace: 'linkCascade(added, autoRules)',
      },
    ],
    suites: ['test/auto/cascade.test.ts', 'test/auto/shapes.test.ts'],
  },
  {
    name: 'cascade-restarts',
    about: ['cascade'],
    what: "a settlement from one status of another rule's from to another restarts that rule's timer",
    edits: [{ file: CASCADE, find: 'const written = starts ? rule.updating(', replace: 'const written = starts ? rule.inserting(' }],
    suites: ['test/auto/cascade.test.ts'],
    likely: 'does not start it again',
  },
]
