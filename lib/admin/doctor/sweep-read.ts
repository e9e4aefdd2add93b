// When any worker last read what is overdue: the proof that sweeps run.

import { SweepMarks } from '../../redis/sweep-marks.js'
import { advice, byHand, type Check, type Finding, fine, shell } from './check.js'
import type { SubjectRedis } from './subject.js'

const NAME = 'sweep.read'

/** Three intervals of the default schedule. */
const LONGEST_MS = 180_000

export const sweepRead: Check = {
  name: NAME,
  needs: 'redis',
  async look({ redis, rules, runtime }) {
    const { connection, clock } = redis as SubjectRedis
    const marks = new SweepMarks(connection, runtime.keys, clock)
    const findings: Finding[] = []
    for (const { kind, row } of rules) {
      if (!row || row.deadline.in === 'redis') continue
      const age = await marks.age(kind)
      const expected = `a worker read what is overdue within the last ${LONGEST_MS / 60_000} minutes`
      const found = age === undefined ? 'none has yet' : `the last time was ${Math.round(age / 1_000)} s ago`
      const remedies = [
        shell(`npx order-timers sweep --kind ${kind}`),
        byHand('where no worker runs, start one; `fallback` is how often it sweeps'),
      ]
      if (age !== undefined && age <= LONGEST_MS) findings.push(fine(NAME, { kind, expected, found }))
      else findings.push(advice(NAME, { kind, expected, found }, ...remedies))
    }
    return findings
  },
}
