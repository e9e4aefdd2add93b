// What the judge says of a story, asserted.

import assert from 'node:assert/strict'
import { judge } from '../../../chaos/judge/judge.js'
import type { Run } from '../../../chaos/judge/run.js'
import type { Story } from './story.js'

/** The run as it was, and the judge finds nothing. */
export function assertFine(story: Story, changed: Partial<Run> = {}): void {
  const { anomalies } = judge({ ...story.end(), ...changed })
  assert.deepEqual(
    anomalies.map(({ invariant, message }) => `${invariant}: ${message}`),
    [],
  )
}

/** The judge finds that this invariant is broken, in these words. Others may be broken too. */
export function assertFound(story: Story, invariant: string, message: RegExp, changed: Partial<Run> = {}): void {
  const { anomalies } = judge({ ...story.end(), ...changed })
  const own = anomalies.filter((anomaly) => anomaly.invariant === invariant)
  assert.ok(
    own.some((anomaly) => message.test(anomaly.message)),
    `${invariant} must find ${message}, and the judge found ${JSON.stringify(anomalies.map((each) => `${each.invariant}: ${each.message}`))}`,
  )
}
