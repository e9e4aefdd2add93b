// What rules that no process has any more have left in Redis. Their timers' own keys expire by themselves.

import { LeftSets } from '../../redis/left-sets.js'
import { declaredBy, hasTimers, leftKinds, mayBeLost } from '../left-kinds.js'
import { livingProcesses } from '../processes.js'
import { advice, byHand, type Check, fine, shell, unseen } from './check.js'
import type { SubjectRedis } from './subject.js'

const NAME = 'redis.left-kinds'
const EXPECTED = 'nothing of rules that no process has'
const MOST_MS = 5_000

export const redisLeftKinds: Check = {
  name: NAME,
  needs: 'redis',
  async look({ redis, runtime, rules, role }) {
    if (role === 'web') return [] // it may not SCAN
    if (rules.some(({ problem }) => problem !== undefined))
      return [unseen(NAME, { expected: EXPECTED, found: 'the reminders of a rule are not known; see rules.declared' })]
    const sets = new LeftSets((redis as SubjectRedis).connection, runtime.keys)
    const byKind = await sets.byKind(MOST_MS)
    if (!byKind) return [unseen(NAME, { expected: EXPECTED, found: `a look at all names takes longer than ${MOST_MS / 1_000} s` })]
    const { processes } = await livingProcesses(runtime)
    const elsewhere = processes.flatMap((one) => (one.alive ? Object.keys(one.rules) : []))
    const left = (await leftKinds(sets, byKind, declaredBy(runtime, elsewhere))).filter(hasTimers)
    if (left.length === 0) return [fine(NAME, { expected: EXPECTED, found: 'there is nothing' })]
    return left.map((one) => {
      const { kind, armed, claimed, dead } = one
      const found = `timers: ${armed + claimed}, dead letters: ${dead}${mayBeLost(one) ? ' (perhaps only in Redis)' : ''}`
      const drop = mayBeLost(one) ? ' --drop-timers' : ''
      return advice(
        NAME,
        { kind, expected: EXPECTED, found },
        byHand(
          'if the rule was renamed, let a worker with its former name run until nothing is left; if it was removed, remove what it left:',
        ),
        shell(`npx order-timers prune --redis ${kind}${drop} --yes`),
      )
    })
  },
}
