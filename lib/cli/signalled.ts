// The end of a command that runs until a signal.

/**
 * How long further signals count as the first, in a child: a terminal's Ctrl-C reaches the program and its child, and the program passes it on, late on a
 * busy machine.
 */
export const PASSED_ON_MS = 3_000

/** Resolves at the first signal that asks it to end. See `onSignal`. */
export function signalled(againMs = 0): Promise<void> {
  return new Promise((resolve) => void onSignal(() => resolve(), againMs))
}

/**
 * Calls `act` at the first signal that asks the process to end. A second one ends it at once, as without a handler.
 * @param againMs how long further signals count as the first
 * @returns a function that ends the listening, unless a signal has come
 */
export function onSignal(act: (signal: NodeJS.Signals) => void, againMs: number): () => void {
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
  let hasCome = false
  const letGo = () => {
    for (const signal of signals) process.off(signal, come)
  }
  const come = (signal: NodeJS.Signals) => {
    if (hasCome) return
    hasCome = true
    if (againMs === 0) letGo()
    else {
      setTimeout(letGo, againMs).unref()
      // Where Node ends by itself it first gives signals back to the system, and one that is passed on just then would be the exit status.
      process.once('beforeExit', () => process.exit())
    }
    act(signal)
  }
  for (const signal of signals) process.on(signal, come)
  return () => {
    if (!hasCome) letGo()
  }
}
