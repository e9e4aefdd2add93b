// Writes lines to stderr. Nobody may be reading there any more: process.stderr then emits an error, which would end the process if nobody
// listened for it. console.error does not prevent that on Node 20.

/** @returns a function that writes one line and never throws */
export function stderrWriter(): (line: string) => void {
  const ignore = (): void => {}
  let pending = 0
  // The error follows the callback by a tick, so the listener goes a turn later.
  const written = (): void => {
    setImmediate(() => {
      pending -= 1
      if (pending === 0) process.stderr.off('error', ignore)
    })
  }
  return (line) => {
    if (pending === 0) process.stderr.on('error', ignore)
    pending += 1
    process.stderr.write(`${line}\n`, written)
  }
}
