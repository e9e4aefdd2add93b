// The record of one run: its rows, and what they were measured on.
import { cpus, release, totalmem, type } from 'node:os'
import { peerVersions } from './peers.js'
import type { Row } from './row.js'
import type { Results } from './suite.js'

export interface BenchRecord {
  measuredAt: string
  machine: string
  /** Rows that are from another day, in words. */
  remark?: string
  versions: Record<string, string>
  rows: Row[]
}

export function recordOf({ rows, redis, postgres }: Results): BenchRecord {
  const [cpu] = cpus()
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  return {
    measuredAt: new Date().toISOString(),
    machine: `${cpus().length} cores of ${cpu?.model.trim() ?? 'an unknown CPU'}, ${gigabytes} GB, ${type()} ${release().split('-')[0]}`,
    versions: {
      'Node.js': process.versions.node,
      Redis: redis,
      PostgreSQL: postgres,
      ...peerVersions(['bullmq', 'bee-queue', 'graphile-worker', 'pg-boss']),
    },
    rows,
  }
}
