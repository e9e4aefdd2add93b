// Timeouts that count only the time in which this process ran. After a pause of the process (SIGSTOP, a suspended machine, a blocked event
// loop) Node fires timers before it reads the answers that arrived during the pause, so a plain timeout would blame a server that was not slow.

/** A timeout runs in steps, so that a pause shows as a step that took too long. */
const STEP_MS = 500

/** A step that ends later than this counts as a pause of the process. */
const PAUSED_MS = 500

/** At least this much of a timeout is left after a pause, so that the answers that have arrived are read first. */
const GRACE_MS = 250

/** The timeout must end although the process pauses again and again. */
const MOST_PAUSES = 20

/**
 * Calls `act` once the process has run for the given milliseconds.
 * @returns a function that cancels it
 */
export function afterRunning(milliseconds: number, act: () => void): () => void {
  let left = milliseconds
  let pauses = 0
  let timer: NodeJS.Timeout
  let lastTurn: NodeJS.Immediate | undefined
  const step = () => {
    const stepMs = Math.min(left, STEP_MS)
    const expectedAt = performance.now() + stepMs
    timer = setTimeout(() => {
      left -= stepMs
      if (performance.now() - expectedAt > PAUSED_MS && pauses < MOST_PAUSES) {
        pauses += 1
        left = Math.max(left, GRACE_MS)
      }
      if (left > 0) step()
      else lastTurn = setImmediate(act) // after pending answers were read, even if the event loop was busy until the timer
    }, stepMs)
  }
  step()
  return () => {
    clearTimeout(timer)
    clearImmediate(lastTurn)
  }
}

/** The promise's value, or undefined if the process has run for the given milliseconds before that. */
export function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = afterRunning(milliseconds, () => resolve(undefined))
    promise.then(
      (value) => {
        cancel()
        resolve(value)
      },
      (error) => {
        cancel()
        reject(error)
      },
    )
  })
}
