// The fourteen planted bugs: each a way in which such a library is easily got wrong, as edits of the source by its exact text, and the
// test that must fall for it. Where our design has no such place, it is the nearest edit that brings the same fault about.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the edits are source text.

export interface Edit {
  file: string
  /** Must be there exactly once. */
  find: string
  replace: string
}

export interface ChosenTest {
  file: string
  /** With the titles of its suites before it. */
  title: string
}

export interface PlantedBug {
  /** For `--only`. */
  name: string
  what: string
  edits: readonly Edit[]
  test: ChosenTest
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'no-deadline-in-guard',
    what: "the deadline taken out of the UPDATE's guard",
    edits: [
      {
        file: 'lib/rows/guard.ts',
        find: 'this.appliesSql, this.dueSql, this.eligibleSql, this.notDeletedSql',
        replace: 'this.appliesSql, this.eligibleSql, this.notDeletedSql',
      },
    ],
    test: {
      file: 'test/faults/clocks.test.ts',
      title: 'With a wrong clock by which keys come five seconds too early, orders are looked at and left until their time',
    },
  },
  {
    name: 'no-status-in-guard',
    what: "the status taken out of the UPDATE's guard",
    edits: [
      {
        file: 'lib/rows/guard.ts',
        find: 'this.appliesSql, this.dueSql, this.eligibleSql, this.notDeletedSql',
        replace: 'this.dueSql, this.eligibleSql, this.notDeletedSql',
      },
    ],
    test: { file: 'test/worker/worker.test.ts', title: 'the worker does nothing about an order that was confirmed by hand' },
  },
  {
    name: 'claim-ended-before-commit',
    what: 'the claim acknowledged before the commit',
    edits: [
      {
        file: 'lib/worker/settling/dispatcher.ts',
        find: 'await this.settler.settle(work, work.ids, dispositions)',
        replace: 'await this.finish(work, [])\n      await this.settler.settle(work, work.ids, dispositions)',
      },
    ],
    test: {
      file: 'test/faults/workers-die.test.ts',
      title: 'A worker that dies between the update and the commit leaves timers that Redis alone has to the next one',
    },
  },
  {
    name: 'claim-ended-by-id',
    what: 'acknowledged by id without its token',
    edits: [
      {
        file: 'lib/redis/lua/finish.lua',
        find: "callInPortions('SADD', (tombstoneSets(tombstones, sort)), ids)",
        replace: "callInPortions('SADD', (tombstoneSets(tombstones, sort)), ids)\n  callInPortions('ZREM', due, ids)",
      },
    ],
    test: {
      file: 'test/redis/leases.test.ts',
      title: 'a claim keeps a timer that was armed again while the claim was worked on',
    },
  },
  {
    name: 'early-is-done',
    what: 'no row updated taken for done when it was not due',
    edits: [
      {
        file: 'lib/rows/settlement-outcome.ts',
        find: 'answer.early.push({ id, remainingMs: row.remaining_ms })',
        replace: 'answer.gone.push(id)',
      },
    ],
    test: {
      file: 'test/faults/clocks.test.ts',
      title: 'With a wrong clock by which keys come five seconds too early, orders are looked at and left until their time',
    },
  },
  {
    name: 'relative-px',
    what: 'a relative PX',
    edits: [
      {
        file: 'lib/redis/due-index.ts',
        find: 'for (const { id, deadlineMs } of timers) values.push(deadlineMs, id)',
        replace: 'for (const { id, deadlineMs } of timers) values.push(deadlineMs, id)\n    values.push(Date.now())',
      },
      {
        file: 'lib/redis/lua/arm.lua',
        find: "redis.call('ZADD', due, unpack(ARGV, 3))",
        replace: "redis.call('ZADD', due, unpack(ARGV, 3, #ARGV - 1))",
      },
      {
        file: 'lib/redis/lua/arm.lua',
        find: `for i = 3, #ARGV, 2 do
  local deadline, id = ARGV[i], ARGV[i + 1]
  redis.call('SET', keyPrefix .. id, '1', 'PXAT', deadline)`,
        replace: `for i = 3, #ARGV - 1, 2 do
  local deadline, id = ARGV[i], ARGV[i + 1]
  redis.call('SET', keyPrefix .. id, '1', 'PX', math.max(1, deadline - ARGV[#ARGV]))`,
      },
    ],
    test: {
      file: 'test/redis/arming.test.ts',
      title: 'arming is for the deadline itself, however long the request is on its way',
    },
  },
  {
    name: 'no-catch-up',
    what: 'no catching up on `ready`',
    edits: [
      {
        file: 'lib/worker/intake/intake.ts',
        find: 'this.catchUp()\n    void this.expiryProbe.send()',
        replace: 'void this.expiryProbe.send()',
      },
      {
        file: 'lib/worker/intake/intake.ts',
        find: 'index.load()\n    this.catchUp()',
        replace: 'index.load()',
      },
    ],
    test: {
      file: 'test/faults/redis-goes.test.ts',
      title: 'When Redis comes back empty and no sweep is scheduled, every timer is armed again all the same',
    },
  },
  {
    name: 'no-skip-locked',
    what: 'the sweep without SKIP LOCKED',
    edits: [
      {
        file: 'lib/rows/settlement-sql.ts',
        find: '${limit} FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED',
        replace: '${limit} FOR NO KEY UPDATE OF ${table.alias}',
      },
    ],
    test: {
      file: 'test/rows/settlement-transaction.test.ts',
      title: 'a settlement puts off an order whose row is locked, and settles it when it is free',
    },
  },
  {
    name: 'alarm-waits-for-event',
    what: 'the alarm waiting for an event of a key that is gone',
    edits: [
      {
        file: 'lib/worker/intake/alarm.ts',
        find: 'setTimeout(resolve, Math.ceil(milliseconds))',
        replace: 'setTimeout(resolve, 2 ** 31 - 1)',
      },
      {
        file: 'lib/worker/intake/intake.ts',
        find: 'this.expiryProbe.takes(key) || this.listener.take(key)',
        replace: 'this.expiryProbe.takes(key) || (this.wake(), this.listener.take(key))',
      },
    ],
    test: {
      file: 'test/faults/redis-goes.test.ts',
      title: 'When Redis has its notifications switched off while running, that is noticed in time and timers stay punctual',
    },
  },
  {
    name: 'id-through-number',
    what: 'an id through Number',
    edits: [
      {
        file: 'lib/ids.ts',
        find: 'WHOLE.test(text) && BigInt(text) <= largest ? text : null',
        replace: 'WHOLE.test(text) && BigInt(text) <= largest ? String(Number(text)) : null',
      },
    ],
    test: {
      file: 'test/ids.test.ts',
      title: 'an id beyond 2^53 keeps every digit as text and as a bigint, and is refused as a number, which has lost some',
    },
  },
  {
    name: 'error-swallowed',
    what: "a handler's error swallowed and the timer dropped",
    edits: [
      {
        file: 'lib/worker/settling/settler.ts',
        find: 'await this.countAttempt(work, ids[0] as string, error, dispositions)',
        replace: '',
      },
    ],
    test: {
      file: 'test/faults/failing-handlers.test.ts',
      title: 'A rule that fails is settled once by a plain handler that succeeds at its second attempt',
    },
  },
  {
    name: 'newest-first',
    what: 'newest-first batches',
    edits: [
      {
        file: 'lib/redis/lua/claim.lua',
        find: "local popped = redis.call('ZPOPMIN', due, count)",
        replace: `local popped = redis.call('ZREVRANGEBYSCORE', due, dueUntil, '-inf', 'WITHSCORES', 'LIMIT', 0, count)
  for i = 1, #popped, 2 do redis.call('ZREM', due, popped[i]) end`,
      },
    ],
    test: {
      file: 'test/redis/leases.test.ts',
      title: 'a claim takes what is due, oldest first, with its deadline, and says when the next is due',
    },
  },
  {
    name: 'no-catch-on-subscribe',
    what: 'no catch on subscribe',
    edits: [
      {
        file: 'lib/worker/intake/subscriber.ts',
        find: '} catch (error) {\n      if (this.stopped ||',
        replace: '} catch (error) {\n      throw error\n      if (this.stopped ||',
      },
    ],
    test: {
      file: 'test/faults/redis-goes.test.ts',
      title: 'When Redis takes the right to subscribe away while running, the process lives, says so, and recovers with the right',
    },
  },
  {
    name: 'local-clock',
    what: 'the local clock deciding what is due',
    edits: [
      {
        file: 'lib/worker/clocks.ts',
        find: 'return postgresNow - redisNow - ',
        replace: 'return Date.now() - redisNow - ',
      },
      {
        file: 'lib/rows/settlement-transaction.ts',
        find: 'sequelize, this.sql.take, this.sql.bindTake(ids, by, limit)',
        replace: "sequelize, this.sql.take.replace('now()', `to_timestamp(${Date.now()} / 1000.0)`), this.sql.bindTake(ids, by, limit)",
      },
    ],
    test: {
      file: 'test/faults/clocks.test.ts',
      title: 'With a wrong clock in the worker’s process, an hour ahead, orders are settled on time',
    },
  },
]
