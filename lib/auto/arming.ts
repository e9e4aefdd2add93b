// Arms the timers that one of the shop's statements has started. The shop waits only for the first thousand, and for a limited time; the rest is
// armed in the background. What Redis does not accept is left to the sweep.

import type { AutoRule } from './rule.js'

/** How many timers are armed at once. */
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
