// The end of a command that runs until a signal.

/**
 * Resolves at the first signal that asks it to end. A second one ends the process at once, as without a handler.
 * @param againMs how long further signals count as the first: a terminal's Ctrl-C reaches the program and its child, and the program passes it on
 */
export function signalled(againMs = 0): Promise<void> {
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
  return new Promise((resolve) => {
    let hasEnded = false
    const letGo = () => {
      for (const signal of signals) process.off(signal, end)
    }
    const end = () => {
      if (hasEnded) return
      hasEnded = true
      if (againMs === 0) letGo()
      else setTimeout(letGo, againMs).unref()
      resolve()
    }
    for (const signal of signals) process.on(signal, end)
  })
}
