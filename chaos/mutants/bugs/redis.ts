// Bugs that show when Redis is slow, away, empty or refuses.

import type { PlantedBug } from '../planted-bug.js'

const INTAKE = 'lib/worker/intake/intake.ts'
const SERVER_INTAKE = 'lib/worker/intake/server-intake.ts'

export const REDIS_BUGS: readonly PlantedBug[] = [
  {
    name: 'relative-px',
    about: ['redis', 'clocks'],
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
  setKey(id, deadline)`,
        replace: `for i = 3, #ARGV - 1, 2 do
  local deadline, id = ARGV[i], ARGV[i + 1]
  redis.call('SET', keyPrefix .. id, '1', 'PX', math.max(1, deadline - ARGV[#ARGV]))`,
      },
    ],
    suites: ['test/redis/arming.test.ts'],
  },
  {
    name: 'no-catch-up',
    about: ['redis', 'sweep'],
    what: 'no catching up on `ready`',
    edits: [
      {
        file: SERVER_INTAKE,
        find: 'this.listeners.onMissed()\n    void this.prove()',
        replace: 'void this.prove()',
      },
      {
        file: INTAKE,
        find: 'index.load()\n    this.catchUp()',
        replace: 'index.load()',
      },
    ],
    suites: ['test/worker/intake/intake.test.ts', 'test/faults/redis-goes.test.ts'],
    likely: 'catches up with what came due meanwhile',
  },
  {
    name: 'alarm-waits-for-event',
    about: ['redis', 'deadline'],
    what: 'the alarm waiting for an event of a key that is gone',
    edits: [
      {
        file: 'lib/worker/intake/alarm.ts',
        find: 'Math.ceil(sleepMs)',
        replace: '2 ** 31 - 1',
      },
      {
        file: SERVER_INTAKE,
        find: 'this.expiryProbe.takes(key) || onExpired(key)',
        replace: "this.expiryProbe.takes(key) || (onWake(''), onExpired(key))",
      },
    ],
    suites: ['test/faults/redis-goes.test.ts', 'test/worker/worker.test.ts'],
    likely: 'has its notifications switched off',
  },
  {
    name: 'no-catch-on-subscribe',
    about: ['redis'],
    what: 'no catch on subscribe',
    edits: [
      {
        file: 'lib/worker/intake/subscriber.ts',
        find: '} catch (error) {\n      if (this.stopped ||',
        replace: '} catch (error) {\n      throw error\n      if (this.stopped ||',
      },
    ],
    suites: ['test/worker/intake/subscriber.test.ts', 'test/faults/redis-goes.test.ts'],
  },
  {
    name: 'late-arming-repeated',
    about: ['redis', 'calls'],
    what: 'a timer that Redis took too late for its request is armed once more when Redis is back, over a newer deadline',
    edits: [
      {
        file: 'lib/redis/arming.ts',
        find: 'void batch.then((late) => late && this.forget(name, kept.turn))',
        replace: 'void batch',
      },
    ],
    suites: ['test/redis/arming.test.ts', 'test/redis/outage.test.ts'],
  },
  {
    name: 'older-data-unnoticed',
    about: ['redis'],
    what: 'a Redis that came back with older data is taken for one that lost nothing',
    edits: [
      {
        file: 'lib/redis/lua/shared/epoch.lua',
        find: "local isLost = epoch < newest or known[2] == '1'",
        replace: "local isLost = known[2] == '1'",
      },
    ],
    suites: ['test/faults/redis-loses-data.test.ts'],
    likely: 'restarted with data that is older',
  },
  {
    name: 'lost-index-begun-again',
    about: ['redis'],
    what: 'a timer that is armed in an index that was lost hides the loss',
    edits: [
      {
        file: 'lib/redis/lua/shared/before-adding.lua',
        find: "if redis.call('HGET', state, 'armed') == '1' then redis.call('HDEL', state, 'epoch') end",
        replace: '',
      },
    ],
    suites: ['test/redis/leases.test.ts', 'test/redis/due-index.test.ts', 'test/faults/redis-loses-data.test.ts'],
  },
]
