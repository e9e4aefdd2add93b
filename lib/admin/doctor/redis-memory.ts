// How much of Redis's memory is left. A full Redis refuses timers, or evicts them.

import { byHand, type Check, fine, type Remedy, redisCli, redisConf, unseen, wrong } from './check.js'
import { withoutInfo } from './no-info.js'
import type { SubjectRedis } from './subject.js'

const NAME = 'redis.memory'
const MOST_USED = 0.9
const MEGABYTE = 1_048_576

export const redisMemory: Check = {
  name: NAME,
  needs: 'redis',
  ofEachNode: true,
  async look({ redis }) {
    const expected = `less than ${MOST_USED * 100} % of "maxmemory" is used`
    const { info } = redis as SubjectRedis
    if (!info) {
      const { found, remedy } = withoutInfo(redis as SubjectRedis)
      return [unseen(NAME, { expected, found }, remedy)]
    }
    const { used, limit } = memoryOf(info)
    if (limit === 0) return [fine(NAME, { expected, found: `no limit is set; ${megabytes(used)} are used` })]
    const found = `${megabytes(used)} of ${megabytes(limit)} (${Math.round((used / limit) * 100)} %)`
    return [used / limit < MOST_USED ? fine(NAME, { expected, found }) : wrong(NAME, { expected, found }, ...memoryFor(info))]
  },
}

function memoryOf(info: ReadonlyMap<string, string>): { used: number; limit: number } {
  return { used: Number(info.get('used_memory') ?? 0), limit: Number(info.get('maxmemory') ?? 0) }
}

/** Twice what is used, in whole megabytes. */
export function memoryFor(info: ReadonlyMap<string, string> | undefined): Remedy[] {
  const other = byHand('or remove what fills it: redis-cli --bigkeys')
  if (!info) return [byHand('raise "maxmemory"'), other]
  const enough = `${Math.ceil((2 * memoryOf(info).used) / MEGABYTE)}mb`
  return [redisCli(`CONFIG SET maxmemory ${enough}`), redisConf(`maxmemory ${enough}`), other]
}

function megabytes(bytes: number): string {
  return `${(bytes / MEGABYTE).toFixed(1)} MB`
}
