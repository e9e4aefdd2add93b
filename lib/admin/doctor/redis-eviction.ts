// Whether Redis may evict timers when its memory is full.

import { readSettings } from '../../redis/server.js'
import { byHand, type Check, fine, redisCli, redisConf, unseen, wrong } from './check.js'
import { withoutInfo } from './no-info.js'
import type { SubjectRedis } from './subject.js'

const NAME = 'redis.eviction'
const LINE = 'maxmemory-policy noeviction'

export const redisEviction: Check = {
  name: NAME,
  needs: 'redis',
  ofEachNode: true,
  async look({ redis }) {
    const { connection, info } = redis as SubjectRedis
    const policy = info?.get('maxmemory_policy') ?? (await readSettings(connection)).eviction
    const evicted = Number(info?.get('evicted_keys') ?? 0)
    const about = {
      expected: LINE,
      found: `maxmemory-policy ${policy}${evicted > 0 ? `; ${evicted} keys were evicted since it started` : ''}`,
    }
    if (policy === 'noeviction') return [fine(NAME, about)]
    if (policy === undefined) {
      const { found, remedy, isRenamed } = withoutInfo(redis as SubjectRedis)
      const both = isRenamed ? `${found}, and CONFIG GET is refused` : 'this user may call neither INFO nor CONFIG GET'
      return [unseen(NAME, { expected: LINE, found: both }, remedy)]
    }
    return [wrong(NAME, about, redisCli(`CONFIG SET ${LINE}`), redisConf(LINE), byHand('on a managed service: in its parameters'))]
  },
}
