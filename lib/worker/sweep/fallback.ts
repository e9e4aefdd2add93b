// The worker's option `fallback`: when the sweep runs.

import { OrderTimersError, refuseUnknownOptions, show } from '../../errors.js'
import { CronTimes } from './cron-times.js'
import cronModule from './node-cron.cjs'

export interface Fallback {
  /** A cron expression of five fields, or six with seconds first. */
  cron: string
  /** IANA name. Default: UTC. */
  timezone?: string
}

const EVERY_MINUTE: Required<Fallback> = { cron: '* * * * *', timezone: 'UTC' }

/** @throws OrderTimersError INVALID_OPTION */
export function parseFallback(value: unknown): Required<Fallback> | false {
  if (value === false) return false
  if (value === undefined) return EVERY_MINUTE
  const given = typeof value === 'string' ? { cron: value } : (value as Partial<Fallback> | null)
  const shape = `a cron expression such as '* * * * *', { cron, timezone } or false`
  if (given === null || typeof given !== 'object' || typeof given.cron !== 'string') {
    throw invalid(`"fallback" must be ${shape}, got ${show(value)}`)
  }
  refuseUnknownOptions('startExpiryWorker: "fallback"', given, ['cron', 'timezone'])
  const { valid, errors } = cronModule.nodeCron().validateDetailed(given.cron)
  if (!valid) {
    const why = errors.map(({ message }) => message).join('; ')
    throw invalid(`"fallback" must be ${shape}, got ${show(given.cron)} (${why})`)
  }
  const { timezone = EVERY_MINUTE.timezone } = given
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone })
  } catch (cause) {
    throw invalid(`"fallback.timezone" must be an IANA time zone such as 'UTC' or 'Asia/Taipei', got ${show(timezone)}`, cause)
  }
  if (!everRuns(given.cron, timezone)) throw invalid(`"fallback" ${show(given.cron)} names no day that ever comes`)
  return { cron: given.cron, timezone }
}

function everRuns(cron: string, timezone: string): boolean {
  const times = new CronTimes(cron, timezone)
  try {
    return times.pauseAfter(new Date()) < Number.POSITIVE_INFINITY
  } finally {
    times.close()
  }
}

function invalid(message: string, cause?: unknown): OrderTimersError {
  return new OrderTimersError('INVALID_OPTION', `startExpiryWorker: ${message}`, cause === undefined ? {} : { cause })
}
