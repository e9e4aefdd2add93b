// Asks the shop's own `authorize`, for ten seconds at most.

import { within } from '../wait.js'

/** For how long the shop may think about it. */
export const WAIT_MS = 10_000

/** @returns undefined where the shop does not answer in time. @throws what `ask` throws */
export function askShop(ask: () => unknown, waitMs = WAIT_MS): Promise<unknown> {
  const asked = (async () => ask())()
  asked.catch(() => {}) // where it fails after the limit
  return within(waitMs, asked)
}
