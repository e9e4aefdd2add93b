// Timers, claims and failures in partitions of a cluster's index that no worker looks at: another process has taken it to be in more of them, or its layout was changed.

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
    const larger = [2, 4, 8, 16, 32, MOST_PARTITIONS].filter((partitions) => partitions > keys.partitions)
    const known = new Set(keys.everyPartition.map((partition) => tagOf(partition, keys.partitions)))
    const left = Array.from({ length: MOST_PARTITIONS }, (_, partition) => tagOf(partition, MOST_PARTITIONS)).filter(
      (tag) => !known.has(tag),
    )
    const names = left.flatMap((tag) => [...kinds, ...reminders].map((kind) => ({ tag, ...keys.setsAt(tag, kind) })))
    const { connection } = redis as SubjectRedis
    const counts = await connection.run(WAIT_MS, (client) =>
      Promise.all(names.map(({ due, leases, failures }) => Promise.all([client.zcard(due), client.zcard(leases), client.hlen(failures)]))),
    )
    const timers = counts.map(sumOf)
    const found = names.filter((_, i) => (timers[i] as number) > 0)
    const expected = `all timers, claims and failures are in the ${keys.partitions} partitions that workers look at`
    if (found.length === 0) return [fine(NAME, { expected, found: 'they are' })]
    const has = (partitions: number) => found.every(({ tag }) => tagsOf(partitions).has(tag))
    const enough = larger.find(has)
    const about = { expected, found: `${sumOf(timers)} are in others: ${found.map(({ due }) => due).join(', ')}` }
    const set = enough === undefined ? [] : [redisCli(`HSET ${keys.layout} partitions ${enough}`)]
    const start = byHand('start them again: more partitions have those of fewer among them, so nothing is lost')
    return [wrong(NAME, about, byHand('end all processes'), ...set, start)]
  },
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0)
}

function tagsOf(partitions: number): ReadonlySet<string> {
  return new Set(Array.from({ length: partitions }, (_, partition) => tagOf(partition, partitions)))
}
