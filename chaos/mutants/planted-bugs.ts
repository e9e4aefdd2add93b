// All planted bugs. Where the design has no place for a classic mistake, it is the nearest edit that has the same effect.

import { AUTO_BUGS } from './bugs/auto.js'
import { BULK_BUGS } from './bugs/bulk.js'
import { CALL_BUGS } from './bugs/calls.js'
import { CLAIM_BUGS } from './bugs/claims.js'
import { DELIVERY_BUGS } from './bugs/deliveries.js'
import { GUARD_BUGS } from './bugs/guard.js'
import { HOLD_BUGS } from './bugs/holds.js'
import { POSTGRES_BUGS } from './bugs/postgres.js'
import { READ_BUGS } from './bugs/reads.js'
import { REDIS_BUGS } from './bugs/redis.js'
import { SETTLING_BUGS } from './bugs/settling.js'
import { SWEEP_BUGS } from './bugs/sweep.js'
import { VERIFY_BUGS } from './bugs/verify.js'
import type { PlantedBug } from './planted-bug.js'

export const PLANTED_BUGS: readonly PlantedBug[] = [
  ...GUARD_BUGS,
  ...SETTLING_BUGS,
  ...CALL_BUGS,
  ...READ_BUGS,
  ...AUTO_BUGS,
  ...DELIVERY_BUGS,
  ...CLAIM_BUGS,
  ...SWEEP_BUGS,
  ...REDIS_BUGS,
  ...POSTGRES_BUGS,
  ...HOLD_BUGS,
  ...VERIFY_BUGS,
  ...BULK_BUGS,
]
