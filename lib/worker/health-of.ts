// Collects a worker's report from its parts. No server is asked.

import type { Assembly } from './assembly.js'
import type { Health } from './health.js'

export function healthOf({ dispatcher, faults, intake, latenessCounts, reporter, schedule, sweep }: Assembly, isStopped: boolean): Health {
  const present = faults.list()
  const { lastEndedAt, lastRead } = sweep
  return {
    status: isStopped ? 'stopped' : present.length > 0 ? 'degraded' : 'ok',
    faults: present,
    redis: intake && {
      connected: intake.connected,
      subscribed: intake.subscribed,
      events: intake.events,
      externalScans: intake.externalScans,
      externalScanMs: intake.externalScanMs,
    },
    sweep: { lastEndedAt, lastReadAt: lastRead?.at, lastReadBy: lastRead?.by, next: schedule.next },
    busy: dispatcher.busy,
    kinds: Object.fromEntries(reporter.counters),
    lateness: latenessCounts.ofRules(),
    events: intake ? { ...intake.listener.counters } : { external: 0, malformed: 0, dropped: 0 },
  }
}
