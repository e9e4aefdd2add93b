// The commands by name, in the order in which the help shows them.

import type { Command } from './command.js'
import { discardCommand, settleCommand } from './commands/acts.js'
import { cancelCommand, extendCommand, scheduleCommand } from './commands/bulk.js'
import { deadCommand, retryCommand } from './commands/dead.js'
import { doctorCommand } from './commands/doctor.js'
import { historyCommand } from './commands/history.js'
import { holdCommand } from './commands/hold.js'
import { listCommand } from './commands/list.js'
import { migrationCommand } from './commands/migration.js'
import { planCommand } from './commands/plan.js'
import { pruneCommand } from './commands/prune.js'
import { rearmCommand } from './commands/rearm.js'
import { releaseCommand } from './commands/release.js'
import { runsCommand } from './commands/runs.js'
import { showCommand } from './commands/show.js'
import { statusCommand } from './commands/status.js'
import { sweepCommand } from './commands/sweep.js'
import { watchCommand } from './commands/watch.js'
import { workerCommand } from './commands/worker.js'

export const COMMANDS: Record<string, Command> = {
  worker: workerCommand,
  plan: planCommand,
  status: statusCommand,
  show: showCommand,
  list: listCommand,
  history: historyCommand,
  watch: watchCommand,
  doctor: doctorCommand,
  sweep: sweepCommand,
  dead: deadCommand,
  retry: retryCommand,
  discard: discardCommand,
  settle: settleCommand,
  extend: extendCommand,
  schedule: scheduleCommand,
  cancel: cancelCommand,
  runs: runsCommand,
  hold: holdCommand,
  release: releaseCommand,
  rearm: rearmCommand,
  prune: pruneCommand,
  migration: migrationCommand,
}
