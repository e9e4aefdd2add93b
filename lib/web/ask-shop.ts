// Calls the shop's `authorize`, and waits ten seconds at most.

import { within } from '../wait.js'

/** The time limit of `authorize`. */
export const WAIT_MS = 10_000

/** @returns undefined if the shop does not answer in time. @throws what `ask` throws */
export function askShop(ask: () => unknown, waitMs = WAIT_MS): Promise<unknown> {
  const asked = (async () => ask())()
  asked.catch(() => {}) // it may reject after the limit
  return within(waitMs, asked)
}
