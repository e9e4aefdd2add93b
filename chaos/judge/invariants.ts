// All invariants, in the order in which their anomalies are reported.

import type { Invariant } from './invariant.js'
import { afterCommit } from './invariants/after-commit.js'
import { backfilled } from './invariants/backfilled.js'
import { brake } from './invariants/brake.js'
import { brakeCount } from './invariants/brake-count.js'
import { carriedOut } from './invariants/carried-out.js'
import { cascade } from './invariants/cascade.js'
import { continuous } from './invariants/continuous.js'
import { dead } from './invariants/dead.js'
import { dryRun } from './invariants/dry-run.js'
import { entering } from './invariants/entering.js'
import { explained } from './invariants/explained.js'
import { extended } from './invariants/extended.js'
import { held } from './invariants/held.js'
import { history } from './invariants/history.js'
import { limits } from './invariants/limits.js'
import { lost } from './invariants/lost.js'
import { neverEarly } from './invariants/never-early.js'
import { reads } from './invariants/reads.js'
import { redisOnly } from './invariants/redis-only.js'
import { refusals } from './invariants/refusals.js'
import { reminders } from './invariants/reminders.js'
import { runOnce } from './invariants/run-once.js'
import { settledOnce } from './invariants/settled-once.js'
import { stale } from './invariants/stale.js'
import { told } from './invariants/told.js'
import { withdrawn } from './invariants/withdrawn.js'

export const INVARIANTS: readonly Invariant[] = [
  neverEarly,
  lost,
  settledOnce,
  withdrawn,
  extended,
  explained,
  continuous,
  carriedOut,
  limits,
  refusals,
  held,
  entering,
  cascade,
  runOnce,
  history,
  afterCommit,
  reminders,
  brake,
  brakeCount,
  stale,
  dead,
  dryRun,
  redisOnly,
  backfilled,
  told,
  reads,
]
