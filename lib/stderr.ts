// Writes lines to stderr. If the reader has closed the pipe, process.stderr emits an error, which ends the process unless there is a
// listener. console.error does not prevent that on Node 20.

/** @returns a function that writes one line and never throws */
export function stderrWriter(): (line: string) => void {
  const ignore = (): void => {}
  let pending = 0
  // The error is emitted a tick after the callback, so the listener is removed one turn later.
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
