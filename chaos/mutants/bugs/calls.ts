// Bugs in the shop's calls: schedule, extend, cancel, pause, resume.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the edits are source text.

import type { PlantedBug } from '../planted-bug.js'

const DEADLINE_SQL = 'lib/rows/deadline-sql.ts'
const CALL = 'lib/timers/call.ts'

export const CALL_BUGS: readonly PlantedBug[] = [
  {
    name: 'id-through-number',
    about: ['calls'],
    what: 'an id through Number',
    edits: [
      {
        file: 'lib/ids.ts',
        find: 'WHOLE.test(text) && BigInt(text) <= largest ? text : null',
        replace: 'WHOLE.test(text) && BigInt(text) <= largest ? String(Number(text)) : null',
      },
    ],
    suites: ['test/ids.test.ts', 'test/timers/order-id.test.ts'],
  },
  {
    name: 'extend-without-lock',
    about: ['extend'],
    what: 'the order is not locked while its limit is looked at, so that several callers at once pass it',
    edits: [
      { file: DEADLINE_SQL, find: 'WHERE ${conditions} FOR NO KEY UPDATE\n', replace: 'WHERE ${conditions}\n' },
      { file: DEADLINE_SQL, find: "wait === 'hardly' ? allOf([conditions, hardlyWaiting(guard)]) : locked", replace: 'locked' },
    ],
    suites: ['test/life/deadlines.test.ts', 'test/faults/races.test.ts'],
    likely: 'At the very instant of the deadline an extension either wins',
  },
  {
    name: 'extend-limit-by-one',
    about: ['extend'],
    what: 'an order may be extended once more than "maxExtensions"',
    edits: [
      {
        file: DEADLINE_SQL,
        find: 'allOf([hasTimer, `${extended} <= $3::float8`])',
        replace: 'allOf([hasTimer, `${extendedSql(guard, extensions.attribute)} <= $3::float8`])',
      },
    ],
    suites: ['test/life/deadlines.test.ts'],
    likely: 'is limited in number',
  },
  {
    name: 'extend-from-now',
    about: ['extend'],
    what: 'extend counts from now instead of from the deadline',
    edits: [
      {
        file: DEADLINE_SQL,
        find: "`${deadline} = ${now} + ${boundIntervalSql('$2')}`",
        replace: "`${deadline} = coalesce(${CLOCK}, ${now}) + ${boundIntervalSql('$2')}`",
      },
    ],
    suites: ['test/timers/call.test.ts', 'test/life/deadlines.test.ts'],
    likely: 'moves the deadline by so much from where it is',
  },
  {
    name: 'extensions-counted-on',
    about: ['extend'],
    what: 'schedule does not begin the count of extensions again',
    edits: [
      {
        file: DEADLINE_SQL,
        find: '[`${deadline} = ${start}`, ...unpaused, ...this.notExtended()]',
        replace: '[`${deadline} = ${start}`, ...unpaused]',
      },
    ],
    suites: ['test/life/deadlines.test.ts'],
    likely: 'is limited in number',
  },
  {
    name: 'cancel-keeps-pause',
    about: ['cancel', 'pause'],
    what: 'cancel leaves what a pause has kept, so that resume brings the timer back',
    edits: [
      {
        file: DEADLINE_SQL,
        find: 'if (value === null) return { assignments: [`${deadline} = ${guard.noTimerSql}`, ...unpaused] }',
        replace: 'if (value === null) return { assignments: [`${deadline} = ${guard.noTimerSql}`] }',
      },
    ],
    suites: ['test/life/pause.test.ts'],
    likely: 'leave nothing kept by cancel and schedule',
  },
  {
    name: 'pause-twice-is-over',
    about: ['pause'],
    what: 'a second pause overwrites the time that is left by 0',
    edits: [
      {
        file: DEADLINE_SQL,
        find: 'assignments: [`${keep} = ${left}`, `${deadline} = ${guard.noTimerSql}`], condition: `${guard.deadlineSql} IS NOT NULL` }',
        replace: 'assignments: [`${keep} = ${left}`, `${deadline} = ${guard.noTimerSql}`] }',
      },
    ],
    suites: ['test/life/pause.test.ts'],
    likely: 'each twice is harmless',
  },
  {
    name: 'reminders-stay-armed',
    about: ['pause', 'reminders'],
    what: 'what takes a deadline off the row removes its timer from Redis, and not those of its reminders',
    edits: [
      {
        file: 'lib/redis/arming.ts',
        find: 'async disarm({ kind, reminders }: ArmedRule',
        replace: 'async disarm({ kind }: ArmedRule',
      },
      {
        file: 'lib/redis/arming.ts',
        find: `const ends = reminders.map(({ kind, beforeMs }) =>
      this.disarmOne(kind, id, deadlineMs === undefined ? undefined : deadlineMs - beforeMs),
    )
    await Promise.all([this.disarmOne(kind, id, deadlineMs), ...ends])`,
        replace: 'await this.disarmOne(kind, id, deadlineMs)',
      },
    ],
    suites: ['test/life/reminders.test.ts', 'test/life/pause.test.ts'],
    likely: 'is armed with its timer',
  },
  {
    name: 'armed-before-commit',
    about: ['deadline', 'calls'],
    what: "a timer is armed although the shop's transaction has not committed",
    edits: [
      {
        file: CALL,
        find: 'if (!this.transaction) return work(redis)',
        replace: "if (!this.transaction || this.rule.row?.deadline.in === 'column') return work(redis)",
      },
    ],
    suites: ['test/sequelize/after-commit.test.ts', 'test/faults/transactions.test.ts'],
  },
  {
    name: 'cancel-any-deadline',
    about: ['cancel'],
    what: 'a late cancel removes from Redis the timer that was armed for another deadline meanwhile',
    edits: [
      {
        file: CALL,
        find: 'redis.arming.disarm(this.rule, this.id, before)',
        replace: 'redis.arming.disarm(this.rule, this.id, undefined)',
      },
    ],
    suites: ['test/timers/call.test.ts', 'test/faults/races.test.ts', 'test/redis/arming.test.ts'],
  },
  {
    name: 'stale-instance-is-trusted',
    about: ['since'],
    what: 'under "since" an instance is believed to be where the rule applies, although it says otherwise',
    edits: [
      {
        file: CALL,
        find: 'if (since instanceof Date && row.states.saysInFrom(this.instance as Model)) {',
        replace: 'if (since instanceof Date) {',
      },
    ],
    suites: ['test/timers/call.test.ts', 'test/sequelize/replication.test.ts', 'test/timers/order-id.test.ts'],
  },
  {
    name: 'redis-refusal-swallowed',
    about: ['redisOnly', 'handler'],
    what: 'a swallowed error: schedule says that a timer is armed which Redis alone would have, and did not take',
    edits: [
      {
        file: CALL,
        find: 'await redis.arming.armOrThrow(this.rule.kind, this.id, deadlineMs)',
        replace: 'await redis.arming.armOrThrow(this.rule.kind, this.id, deadlineMs).catch(() => {})',
      },
    ],
    suites: ['test/timers/call.test.ts', 'test/redis/outage.test.ts', 'test/faults/redis-goes.test.ts'],
  },
  {
    name: 'cls-ignored',
    about: ['cls'],
    what: 'a call does not find the transaction of the CLS namespace, and writes outside of it',
    edits: [
      {
        file: 'lib/sequelize/after-commit.ts',
        find: "return classOf(sequelize)._cls?.get('transaction') ?? undefined",
        replace: 'return sequelize && undefined',
      },
    ],
    suites: ['test/faults/transactions.test.ts', 'test/sequelize/call-transaction.test.ts'],
    likely: 'CLS',
  },
  {
    name: 'cls-in-spite-of-null',
    about: ['cls'],
    what: 'a call that asks for no transaction writes in that of the CLS namespace',
    edits: [
      {
        file: 'lib/sequelize/after-commit.ts',
        find: 'if (given !== undefined) return given ?? undefined',
        replace: 'if (given) return given',
      },
    ],
    suites: ['test/faults/transactions.test.ts', 'test/sequelize/call-transaction.test.ts'],
    likely: 'CLS',
  },
]
