// `order-timers status`: is it running, is it on time, what is stuck, why, and what to do.

import type { Runtime } from '../timers/runtime.js'
import { type Facts, type FactsOptions, gatherFacts } from './status-facts.js'
import type { Trouble } from './trouble.js'
import { headlineOf, troublesOf } from './verdict.js'

export type { RowFigures, RuleStatus } from './rule-status.js'
export type { RedisStatus } from './server-status.js'
export { sentence, type Trouble } from './trouble.js'

export interface Status extends Facts {
  /** False if somebody should act now: due orders are not settled, or a server does not answer. */
  ok: boolean
  /** The worst problem in one line, with what to do; or that all is well. */
  headline: string
  /** All problems, worst first. */
  troubles: Trouble[]
}

/** Never rejects: what does not answer, or could not be read, is in the result. */
export async function status(runtime: Runtime, options: FactsOptions = {}): Promise<Status> {
  const facts = await gatherFacts(runtime, options)
  const troubles = troublesOf(facts)
  return { ok: troubles.every(({ level }) => level !== 'failing'), headline: headlineOf(troubles, facts), troubles, ...facts }
}
