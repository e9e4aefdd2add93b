// The book of what the tests have open: servers, connections, databases, workers. Whatever opens something enters it here and strikes
// it out when it is closed; hooks.ts fails the test that left an entry. Processes entered here die with the test process.

import type { ChildProcess } from 'node:child_process'

export interface Opened {
  readonly what: string
  close(): Promise<unknown>
}

const ONLY_ONCE = Symbol.for('order-timers.tests.opened')
if (ONLY_ONCE in globalThis) {
  // Mocha loads a test by require(), and by import() where that fails: then its modules are loaded anew, and hooks.ts sees another book.
  throw new Error('test/support/opened.ts was loaded twice: a test, or what it imports, has a top-level await; tests must not')
}
Object.defineProperty(globalThis, ONLY_ONCE, { value: true })

const book = new Set<Opened>()
const processes = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of processes) child.kill('SIGKILL')
})

/** Enters something that is open. Returns the function that strikes it out. */
export function enter(what: string, close: () => Promise<unknown>): () => void {
  const entry = { what, close }
  book.add(entry)
  return () => void book.delete(entry)
}

/** Everything that is open now. */
export function openNow(): Opened[] {
  return [...book]
}

/** Sees to it that a process doesn't outlive the tests. */
export function dieWithTests(child: ChildProcess): ChildProcess {
  processes.add(child)
  child.once('exit', () => processes.delete(child))
  return child
}
