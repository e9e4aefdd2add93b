// Other keys with a TTL in the same db. Redis finds expired keys by sampling, so with many of them the expiry events of keys that other services
// set as timers come late. The timers of this package need no event.

import { advice, byHand, type Check, fine, redisCli, redisConf, unseen } from './check.js'
import { withoutInfo } from './no-info.js'
import type { SubjectRedis } from './subject.js'

const NAME = 'redis.ttl-keys'
const MOST_KEYS = 100_000
const WAIT_MS = 2_000

export const redisTtlKeys: Check = {
  name: NAME,
  needs: 'redis',
  async look({ redis, runtime, role }) {
    if (role === 'web') return [] // a web process needs no events
    const { index, info, source, nodes } = redis as SubjectRedis
    const expected = `at most ${MOST_KEYS.toLocaleString('en-US')} keys of others with a TTL in db ${source.db}`
    if (!info) {
      const { found, remedy } = withoutInfo(redis as SubjectRedis)
      return [unseen(NAME, { expected, found }, remedy)]
    }
    const expiringIn = (of: ReadonlyMap<string, string>) => Number(/expires=(\d+)/.exec(of.get(`db${source.db}`) ?? '')?.[1] ?? 0)
    const servers = nodes.length > 0 ? nodes.flatMap((node) => node.info ?? []) : [info]
    const expiring = servers.reduce((sum, server) => sum + expiringIn(server), 0)
    const own = await Promise.all(runtime.kinds.map((kind) => index.count(kind, WAIT_MS)))
    const others = Math.max(0, expiring - own.reduce((sum, count) => sum + count, 0))
    const late = Number(info.get('expired_stale_perc') ?? 0)
    const about = { expected, found: `${others.toLocaleString('en-US')}; about ${late} % of the keys with a TTL have expired unnoticed` }
    if (others <= MOST_KEYS) return [fine(NAME, about)]
    return [
      advice(
        NAME,
        about,
        byHand('give the timers a db, or a Redis, of their own: redis://host:port/N'),
        redisCli('CONFIG SET active-expire-effort 10'),
        redisConf('active-expire-effort 10'),
      ),
    ]
  },
}
