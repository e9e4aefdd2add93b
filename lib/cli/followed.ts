// A run that a command carries out: it prints its progress every two seconds, and stops after a portion on SIGINT, SIGTERM and SIGHUP.

import type { BulkProgress, BulkResult, RunOptions } from '../bulk.js'
import { progressText } from './bulk-text.js'
import type { CommandInput } from './command.js'
import { onSignal, PASSED_ON_MS } from './signalled.js'

const PROGRESS_MS = 2_000

export async function followed(
  { remark }: Pick<CommandInput, 'remark'>,
  carryOut: (options: RunOptions) => Promise<BulkResult>,
): Promise<BulkResult> {
  const stop = new AbortController()
  let last: BulkProgress | undefined
  let saidAt = performance.now()
  const onProgress = (progress: BulkProgress) => {
    last = progress
    if (performance.now() - saidAt < PROGRESS_MS) return
    saidAt = performance.now()
    remark(progressText(progress))
  }
  const endListening = onSignal((signal) => {
    const { kind, moved = 0, planned = 0 } = last ?? {}
    const goOn = `order-timers runs ${kind ?? 'KIND'} --resume goes on, and --abandon ends it where it is`
    stop.abort(new Error(`stopped by ${signal} after ${moved} of ${planned} orders; the rule stays held, and ${goOn}`))
  }, PASSED_ON_MS)
  try {
    return await carryOut({ onProgress, signal: stop.signal })
  } finally {
    endListening()
  }
}
