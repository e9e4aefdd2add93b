// Bugs in claims and their leases: the scripts in Redis, and what the worker makes of their answers.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the edits are source text.

import type { PlantedBug } from '../planted-bug.js'

const FINISH = 'lib/redis/lua/finish.lua'
const CLAIM = 'lib/redis/lua/claim.lua'
const TAKE = 'lib/redis/lua/take.lua'
const DISPATCHER = 'lib/worker/settling/dispatcher.ts'

const LEASES = 'test/redis/leases.test.ts'

export const CLAIM_BUGS: readonly PlantedBug[] = [
  {
    name: 'claim-ended-before-commit',
    about: ['claims', 'redisOnly'],
    what: 'the claim acknowledged before the commit',
    edits: [
      {
        file: DISPATCHER,
        find: 'await this.settler.settle(work, work.ids, dispositions)',
        replace: 'await this.finish(work, []).then(() => this.settler.settle(work, work.ids, dispositions))',
      },
    ],
    suites: ['test/faults/workers-die.test.ts', 'test/worker/settling/dispatcher.test.ts'],
    likely: 'between the update and the commit',
  },
  {
    name: 'claim-ended-by-id',
    about: ['claims'],
    what: 'acknowledged by id without its token',
    edits: [
      {
        file: FINISH,
        find: "callInPortions('SADD', (tombstoneSets(tombstones, sort)), ids)",
        replace: "callInPortions('SADD', (tombstoneSets(tombstones, sort)), ids)\n  callInPortions('ZREM', due, ids)",
      },
    ],
    suites: [LEASES],
  },
  {
    name: 'newest-first',
    about: ['claims'],
    what: 'newest-first batches',
    edits: [
      {
        file: CLAIM,
        find: "local popped = redis.call('ZPOPMIN', due, count)",
        replace: `local popped = redis.call('ZREVRANGEBYSCORE', due, dueUntil, '-inf', 'WITHSCORES', 'LIMIT', 0, count)
  for i = 1, #popped, 2 do redis.call('ZREM', due, popped[i]) end`,
      },
    ],
    suites: [LEASES],
  },
  {
    name: 'end-repeated',
    about: ['claims'],
    what: 'the end of a claim, sent again because its answer was lost, puts back what was put back and taken already',
    edits: [{ file: FINISH, find: 'if wasHeld == 0 and isRetry then return 0 end', replace: '' }],
    suites: [LEASES, 'test/faults/redis-goes.test.ts'],
    likely: 'ends once',
  },
  {
    name: 'late-claim-counts',
    about: ['claims', 'redis'],
    what: 'a claim that a frozen Redis carries out on waking takes timers for a worker that no longer waits for it',
    edits: [{ file: CLAIM, find: 'if now > validUntil then return answer end', replace: '' }],
    suites: [LEASES, 'test/faults/redis-goes.test.ts'],
  },
  {
    name: 'sweep-takes-claimed',
    about: ['claims', 'sweep'],
    what: 'the sweep takes orders that a live claim holds',
    edits: [
      {
        file: TAKE,
        find: "for _, live in ipairs(redis.call('ZRANGEBYSCORE', leases, now, '+inf')) do ids = partition('SMISMEMBER', leasePrefix .. live, ids) end",
        replace: '',
      },
    ],
    suites: [LEASES, 'test/faults/several-services.test.ts'],
  },
  {
    name: 'dead-letter-taken',
    about: ['dead', 'sweep'],
    what: 'the sweep takes dead letters',
    edits: [
      {
        file: 'lib/redis/lua/shared/held-by-failure.lua',
        find: `return failure and (string.find(failure, '"dead":true', 1, true) or redis.call('ZSCORE', due, id))`,
        replace: `return failure and redis.call('ZSCORE', due, id)`,
      },
    ],
    suites: ['test/redis/failed-timers.test.ts', 'test/faults/failing-handlers.test.ts', 'test/timers/pending.test.ts'],
  },
  {
    name: 'retry-keeps-attempts',
    about: ['dead'],
    what: 'a dead letter that is tried again on request keeps its attempts, and is dead at the first failure',
    edits: [
      {
        file: 'lib/redis/lua/revive.lua',
        find: "redis.call('HDEL', failures, id)\n    forgetDead(id)",
        replace: `redis.call('HSET', failures, id, (string.gsub(failure, '"dead":true', '"dead":false')))\n    forgetDead(id)`,
      },
    ],
    suites: ['test/redis/failed-timers.test.ts', 'test/timers/pending.test.ts'],
  },
  {
    name: 'set-again-is-ignored',
    about: ['handler', 'redisOnly'],
    what: 'a key that another service sets again while its id is claimed, or soon after, is taken for one that was settled',
    edits: [{ file: TAKE, find: 'local heardNowMs = 100', replace: 'local heardNowMs = -1' }],
    suites: ['test/worker/intake/keys-set-anew.test.ts'],
    likely: 'is acted on',
  },
  {
    name: 'end-not-repeated',
    about: ['claims', 'redis'],
    what: 'the end of a claim that Redis did not answer is forgotten, and its orders wait for the lease',
    edits: [
      {
        file: 'lib/worker/settling/acknowledgements.ts',
        find: 'this.unanswered.set(token, { retry, sentAt, leaseMs })',
        replace: '',
      },
    ],
    suites: ['test/faults/redis-goes.test.ts', 'test/worker/settling/dispatcher.test.ts'],
    likely: 'tried again without waiting for the lease',
  },
  {
    name: 'expired-lease-kept',
    about: ['leases'],
    what: 'a lease that has expired is renewed, although a sweep may have taken its orders',
    edits: [
      {
        file: 'lib/redis/lua/keep.lua',
        find: 'if not ends or tonumber(ends) <= now then return 0 end',
        replace: 'if not ends then return 0 end',
      },
    ],
    suites: [LEASES, 'test/worker/settling/lease.test.ts'],
  },
  {
    name: 'lease-from-answer',
    about: ['leases'],
    what: 'a lease counted from when its renewal was answered and not from when it was sent',
    edits: [
      {
        file: 'lib/worker/settling/lease.ts',
        find: 'if (await this.keep()) this.since = sentAt',
        replace: 'if (await this.keep()) this.since = new Moment()',
      },
    ],
    suites: ['test/worker/settling/lease.test.ts', 'test/faults/workers-stand-still.test.ts'],
  },
  {
    name: 'expired-lease-begins',
    about: ['leases'],
    what: 'a worker that stood still begins what it had claimed, although its lease has expired',
    edits: [
      {
        file: 'lib/worker/settling/settler.ts',
        find: '    if (this.givenUp) return putBack(ids, 0, dispositions)\n    if (await this.leaseExpired(work, ids, dispositions)) return\n',
        replace: '    if (this.givenUp) return putBack(ids, 0, dispositions)\n',
      },
    ],
    suites: ['test/worker/settling/dispatcher.test.ts', 'test/faults/workers-stand-still.test.ts'],
  },
  {
    name: 'lapsed-dropped',
    about: ['leases'],
    what: 'what a worker had not begun when its lease expired is dropped at the end of the claim',
    edits: [
      {
        file: 'lib/worker/settling/settler.ts',
        find: '    for (const id of ids) dispositions.push({ id, lapsed: true })\n',
        replace: '',
      },
    ],
    suites: ['test/worker/settling/dispatcher.test.ts', 'test/worker/settling/lapsed-claims.test.ts'],
  },
  {
    name: 'local-clock',
    about: ['clocks'],
    what: 'the local clock deciding what is due',
    edits: [
      {
        file: 'lib/worker/clocks.ts',
        find: 'return postgresNow - redisNow - ',
        replace: 'return Date.now() - redisNow - ',
      },
      {
        file: 'lib/rows/settlement-transaction.ts',
        find: 'sequelize, this.sql.texts.take, this.sql.bindTake(ids, by, limit)',
        replace:
          "sequelize, this.sql.texts.take.replace('now()', `to_timestamp(${Date.now()} / 1000.0)`), this.sql.bindTake(ids, by, limit)",
      },
    ],
    suites: ['test/faults/clocks.test.ts'],
    likely: 'an hour ahead, orders are settled on time',
  },
  {
    name: 'skew-turned-round',
    about: ['clocks'],
    what: "the difference of the two servers' clocks with the wrong sign",
    edits: [
      {
        file: 'lib/worker/clocks.ts',
        find: 'return postgresNow - redisNow - ',
        replace: 'return redisNow - postgresNow - ',
      },
    ],
    suites: ['test/faults/clocks.test.ts'],
    likely: 'in Postgres',
  },
]
