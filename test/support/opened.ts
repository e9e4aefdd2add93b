// The book of what the tests have open: servers, connections, databases, workers. Whatever opens something enters it here and strikes
// it out when it is closed; hooks.ts fails the test that left an entry. Processes entered here die with the test process.

import type { ChildProcess } from 'node:child_process'

export interface Opened {
  readonly what: string
  close(): Promise<unknown>
}

// One book for all of the process: tsx loads a module once more for tests that cannot be loaded by require(), and for what they import().
const BOOK = Symbol.for('order-timers.tests.opened')
const everywhere = globalThis as { [BOOK]?: Set<Opened> }
everywhere[BOOK] ??= new Set()
const book = everywhere[BOOK]
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
