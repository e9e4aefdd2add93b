// Whether Redis accepts the writes that timers need, by a script that uses each command once and leaves nothing behind.

import { isReply, replyRemedy, replyWord } from '../../redis/replies.js'
import { probeWrites } from '../../redis/script-calls.js'
import { byHand, type Check, fine, type Remedy, redisCli, wrong } from './check.js'
import { memoryFor } from './redis-memory.js'
import type { SubjectRedis } from './subject.js'
import { why } from './subject.js'

const NAME = 'redis.writes'

export const redisWrites: Check = {
  name: NAME,
  needs: 'redis',
  async look({ redis, runtime }) {
    const expected = 'writes are taken'
    const { connection } = redis as SubjectRedis
    try {
      await probeWrites(connection, runtime.keys)
      return [fine(NAME, { expected, found: 'each command was tried' })]
    } catch (error) {
      if (!isReply(error)) throw error
      return [wrong(NAME, { expected, found: `refused: ${why(error)}` }, ...remediesOf(error, redis as SubjectRedis))]
    }
  },
}

function remediesOf(error: Error, { info }: SubjectRedis): Remedy[] {
  const word = replyWord(error)
  if (word === 'OOM') return memoryFor(info)
  if (word === 'NOREPLICAS')
    return [redisCli('CONFIG SET min-replicas-to-write 0'), byHand('or bring back the replicas that should follow')]
  if (word === 'MISCONF')
    return [byHand('make room on the disk of Redis, and let it write into its "dir" (CONFIG GET dir)'), redisCli('BGSAVE')]
  if (word === 'NOPERM') return [byHand('give this user its rights; see redis.rights')]
  return [byHand(replyRemedy(error) ?? 'see what Redis answered')]
}
