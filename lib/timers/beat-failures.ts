// What nobody expected of a beat. Each such error is told once, since the next beat follows in a moment.

import { errorText } from '../error-text.js'
import type { Log } from '../logger.js'

export function beatFailures(log: Log): (error: unknown) => void {
  let told: string | undefined
  return (error) => {
    const text = errorText(error)
    if (text === told) return
    told = text
    log('error', `INTERNAL: a beat of this process failed (${text}); orders are settled all the same`, { code: 'INTERNAL', error })
  }
}
