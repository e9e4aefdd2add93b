// Lateness in a Redis that others use too: 100,000 timers pending and as many external keys with a TTL.
import { settle } from '../settling.js'
import { OURS, type SystemName } from '../systems/index.js'
import { PATIENCE_MS, punctuality, SPACING_MS } from './lateness.js'
import type { Scenario } from './scenario.js'

const EXTERNAL_KEYS = 100_000

export const mixed: Scenario = {
  name: 'mixed',
  title: 'as lateness, with 100,000 external keys with a TTL in the same Redis',
  systems: [OURS, 'bullmq', 'setex-listener'],
  n: 1_000,
  pendings: [100_000],
  rounds: 1,
  entries: (system, n, pending) => [{ system, n, pending }],
  run: async (site, { system, n, pending }) =>
    punctuality(
      await settle(site, {
        system: system as SystemName,
        n,
        pending,
        spacingMs: SPACING_MS,
        externalKeys: EXTERNAL_KEYS,
        patienceMs: PATIENCE_MS,
      }),
    ),
}
