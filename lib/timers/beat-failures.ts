// Unexpected errors of heartbeats. Each is logged once, since the next heartbeat follows in a moment.

import { errorText } from '../error-text.js'
import type { Log } from '../logger.js'

export function beatFailures(log: Log): (error: unknown) => void {
  let told: string | undefined
  return (error) => {
    const text = errorText(error)
    if (text === told) return
    told = text
    log('error', `INTERNAL: a beat of this process failed (${text}); orders are still settled`, { code: 'INTERNAL', error })
  }
}
