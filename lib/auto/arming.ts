// Arms what one statement of the shop's has started. The shop waits for the first of them only, and never long; of a great many the rest is armed
// behind its back, and what Redis does not take is left to the sweep.

import type { AutoRule } from './rule.js'

/** How many at once. */
const PORTION = 1_000

export interface StartedTimer {
  rule: AutoRule
  id: string
  deadlineMs: number
}

/** Never rejects. */
export async function armAll(started: readonly StartedTimer[]): Promise<void> {
  if (await armPortion(started, 0)) void armRest(started)
}

async function armRest(started: readonly StartedTimer[]): Promise<void> {
  for (let first = PORTION; first < started.length; first += PORTION) if (!(await armPortion(started, first))) return
}

/** @returns whether Redis took them */
async function armPortion(started: readonly StartedTimer[], first: number): Promise<boolean> {
  const portion = started.slice(first, first + PORTION)
  const armed = await Promise.all(portion.map(({ rule, id, deadlineMs }) => rule.arming?.arm(rule.rule, id, deadlineMs)))
  return armed.every(Boolean)
}
