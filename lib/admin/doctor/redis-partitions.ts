// Timers in partitions of a cluster's index that no worker reads: another process assumed more partitions, or the layout was changed.

import { reminderKind } from '../../rules/reminder.js'
import { MOST_PARTITIONS, tagOf } from '../../slots.js'
import { byHand, type Check, fine, redisCli, wrong } from './check.js'
import type { SubjectRedis } from './subject.js'

const NAME = 'redis.partitions'
const WAIT_MS = 5_000

export const redisPartitions: Check = {
  name: NAME,
  needs: 'redis',
  async look({ redis, runtime, rules }) {
    const { keys, kinds } = runtime
    if (!keys.inCluster) return []
    const reminders = rules.flatMap(({ kind, row }) => (row?.options.reminders ?? []).map(({ label }) => reminderKind(kind, label)))
    const counts = [2, 4, 8, 16, 32, MOST_PARTITIONS].filter((partitions) => partitions > keys.partitions)
    const known = new Set(keys.everyPartition.map((partition) => tagOf(partition, keys.partitions)))
    const left = Array.from({ length: MOST_PARTITIONS }, (_, partition) => tagOf(partition, MOST_PARTITIONS)).filter(
      (tag) => !known.has(tag),
    )
    const names = left.flatMap((tag) => [...kinds, ...reminders].map((kind) => ({ tag, due: keys.dueAt(tag, kind) })))
    const { connection } = redis as SubjectRedis
    const timers = await connection.run(WAIT_MS, (client) => Promise.all(names.map(({ due }) => client.zcard(due))))
    const found = names.filter((_, i) => (timers[i] as number) > 0)
    const expected = `all timers are in the ${keys.partitions} partitions that workers look at`
    if (found.length === 0) return [fine(NAME, { expected, found: 'they are' })]
    const sum = timers.reduce((total, count) => total + count, 0)
    const has = (partitions: number) => found.every(({ tag }) => tagsOf(partitions).has(tag))
    const enough = counts.find(has)
    const about = { expected, found: `${sum} are in others: ${found.map(({ due }) => due).join(', ')}` }
    const set = enough === undefined ? [] : [redisCli(`HSET ${keys.layout} partitions ${enough}`)]
    return [
      wrong(NAME, about, ...set, byHand('then restart all processes: more partitions have those of fewer among them, so nothing is lost')),
    ]
  },
}

function tagsOf(partitions: number): ReadonlySet<string> {
  return new Set(Array.from({ length: partitions }, (_, partition) => tagOf(partition, partitions)))
}
