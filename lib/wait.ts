// Limits on waiting that count only the time in which this process ran. After a stop (SIGSTOP, a suspended machine, a blocked event loop)
// timers fire before the answers that have arrived meanwhile are read, so a plain timeout would blame a server that was not slow.

/** A limit is counted in steps, so that a stop is noticed by the step that took far too long. */
const STEP_MS = 500

/** How late a step may be before the process counts as having stood still. */
const STOPPED_MS = 500

/** What is left at least after a stop, so that what has arrived meanwhile is read first. */
const GRACE_MS = 250

/** A process that stands still again and again must come to an end as well. */
const MOST_STOPS = 20

/**
 * Calls `act` once the process has run for so many milliseconds.
 * @returns cancels it
 */
export function afterRunning(milliseconds: number, act: () => void): () => void {
  let left = milliseconds
  let stops = 0
  let timer: NodeJS.Timeout
  const step = () => {
    const stepMs = Math.min(left, STEP_MS)
    const expectedAt = performance.now() + stepMs
    timer = setTimeout(() => {
      left -= stepMs
      if (performance.now() - expectedAt > STOPPED_MS && stops < MOST_STOPS) {
        stops += 1
        left = Math.max(left, GRACE_MS)
      }
      if (left > 0) step()
      else act()
    }, stepMs)
  }
  step()
  return () => clearTimeout(timer)
}

/** What came within the time, or undefined. The timer ends with the wait. */
export async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  let cancel = () => {}
  const limit = new Promise<undefined>((resolve) => {
    cancel = afterRunning(milliseconds, () => resolve(undefined))
  })
  try {
    return await Promise.race([promise, limit])
  } finally {
    cancel()
  }
}
