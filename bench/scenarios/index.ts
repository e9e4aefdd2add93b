// The scenarios, in the order in which they are run and shown.
import { adminPage } from './admin-page.js'
import { bulk } from './bulk.js'
import { calls } from './calls.js'
import { cluster } from './cluster.js'
import { drain } from './drain.js'
import { external } from './external.js'
import { failover } from './failover.js'
import { idle } from './idle.js'
import { lateness } from './lateness.js'
import { middleware } from './middleware.js'
import { mixed } from './mixed.js'
import { neighbour } from './neighbour.js'
import { schedule } from './schedule.js'
import { sweep } from './sweep.js'
import { workers } from './workers.js'

export const SCENARIOS = [
  schedule,
  calls,
  drain,
  lateness,
  mixed,
  external,
  neighbour,
  idle,
  middleware,
  sweep,
  workers,
  adminPage,
  bulk,
  cluster,
  failover,
]
