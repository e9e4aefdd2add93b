// What rules that no process has any more have left in Redis: nobody settles it, shows it or removes it. Their timers' own keys expire by themselves.

import type { Keys } from '../../keys.js'
import { serversOf } from '../../redis/primaries.js'
import { reminderKind } from '../../rules/reminder.js'
import { slotOf } from '../../slots.js'
import { livingProcesses } from '../processes.js'
import { advice, byHand, type Check, fine, redisCli, unseen } from './check.js'
import type { SubjectRedis } from './subject.js'

const NAME = 'redis.left-kinds'
const EXPECTED = 'nothing of rules that no process has'
const WAIT_MS = 2_000
const MOST_MS = 5_000

/** Sets that hold orders. What else is left behind means nothing without them. */
const ORDERS = /:(due|leases|failures)$/

export const redisLeftKinds: Check = {
  name: NAME,
  needs: 'redis',
  async look({ redis, runtime, rules, role }) {
    if (role === 'web') return [] // it may not SCAN
    if (rules.some(({ problem }) => problem !== undefined))
      return [unseen(NAME, { expected: EXPECTED, found: 'the reminders of a rule are not known; see rules.declared' })]
    const sets = await setsByKind(redis as SubjectRedis, runtime.keys)
    if (!sets) return [unseen(NAME, { expected: EXPECTED, found: `a look at all names takes longer than ${MOST_MS / 1_000} s` })]
    const { processes } = await livingProcesses(runtime)
    const elsewhere = processes.flatMap((one) => (one.alive ? Object.keys(one.rules) : []))
    const reminders = rules.flatMap(({ kind, row }) => (row?.options.reminders ?? []).map(({ label }) => reminderKind(kind, label)))
    const known = new Set([...runtime.kinds, ...reminders, ...elsewhere])
    const isKnown = (kind: string) => known.has(kind) || elsewhere.some((other) => kind.startsWith(reminderKind(other, '')))
    const left = [...sets].filter(([kind, names]) => !isKnown(kind) && names.some((name) => ORDERS.test(name)))
    if (left.length === 0) return [fine(NAME, { expected: EXPECTED, found: 'there is nothing' })]
    return left.map(([kind, names]) =>
      advice(
        NAME,
        { kind, expected: EXPECTED, found: names.filter((name) => ORDERS.test(name)).join(', ') },
        byHand(
          'if the rule was renamed, let a worker with its former name run until nothing is left; if it was removed, remove what it left:',
        ),
        ...bySlot(names).map((some) => redisCli(`UNLINK ${some.map((name) => JSON.stringify(name)).join(' ')}`)),
      ),
    )
  },
}

/** @returns undefined where that takes too long */
async function setsByKind({ connection }: SubjectRedis, keys: Keys): Promise<Map<string, string[]> | undefined> {
  const found = new Map<string, string[]>()
  const endsAt = performance.now() + MOST_MS
  for (const server of serversOf(connection.client)) {
    let cursor = '0'
    do {
      if (performance.now() > endsAt) return undefined
      const [next, names] = await connection.run(WAIT_MS, () => server.scan(cursor, 'MATCH', keys.setsPattern, 'COUNT', 1_000))
      cursor = next
      for (const name of names) {
        const kind = keys.kindOfSet(name)
        if (kind !== undefined) found.set(kind, [...(found.get(kind) ?? []), name])
      }
    } while (cursor !== '0')
  }
  return found
}

/** One command names keys of one slot alone. */
function bySlot(names: readonly string[]): string[][] {
  const parts = new Map<number, string[]>()
  for (const name of names) parts.set(slotOf(name), [...(parts.get(slotOf(name)) ?? []), name])
  return [...parts.values()]
}
