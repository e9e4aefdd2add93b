// Whether Redis keeps what it alone has: timers of rules without a deadline on the row, and dead letters. All else is read from Postgres again.

import { byHand, type Check, fine, redisCli, redisConf, unseen, wrong } from './check.js'
import { withoutInfo } from './no-info.js'
import type { SubjectRedis } from './subject.js'

const NAME = 'redis.persistence'

export const redisPersistence: Check = {
  name: NAME,
  needs: 'redis',
  ofEachNode: true,
  async look({ redis, rules }) {
    const inRedis = rules
      .filter(({ row, problem }) => problem === undefined && (!row || row.deadline.in === 'redis'))
      .map(({ kind }) => kind)
    const { info } = redis as SubjectRedis
    if (inRedis.length === 0) {
      const found = info ? saves(info) : 'all deadlines are on rows'
      return [fine(NAME, { expected: 'none is needed: all deadlines are on rows', found })]
    }
    const expected = `appendonly yes, since the timers of ${inRedis.join(', ')} are only in Redis`
    if (!info) {
      const { found, remedy } = withoutInfo(redis as SubjectRedis)
      return [unseen(NAME, { expected, found }, remedy)]
    }
    if (info.get('aof_enabled') === '1') return [fine(NAME, { expected, found: saves(info) })]
    return [
      wrong(
        NAME,
        { expected, found: saves(info) },
        redisCli('CONFIG SET appendonly yes'),
        byHand('only then add the line to redis.conf: a Redis that starts with it, and has no append-only file yet, starts empty:'),
        redisConf('appendonly yes'),
      ),
    ]
  },
}

function saves(info: ReadonlyMap<string, string>): string {
  const failed = info.get('rdb_last_bgsave_status') === 'err' ? '; the last snapshot failed' : ''
  return `${info.get('aof_enabled') === '1' ? 'appendonly yes' : 'appendonly no'}${failed}`
}
