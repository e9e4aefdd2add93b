// The command itself, in the process that loads the shop's modules.

import { writeSync } from 'node:fs'
import { COULD_NOT_LOOK } from './command.js'
import { run } from './run.js'

/** What the shop's own module keeps open (a Redis client, a timer) must not keep this program from ending. */
const PATIENCE_MS = 1_000

/** @param answersFd where the answer goes */
export async function carryOut(args: readonly string[], answersFd: number): Promise<void> {
  let ended = false
  process.on('exit', (status) => {
    if (ended) return
    process.stderr.write(
      `order-timers: your module ended the process (status ${status}) before the timers were there; name one that only makes them: --module FILE\n`,
    )
    process.exitCode = COULD_NOT_LOOK
  })
  const status = await run(args, {
    directory: process.cwd(),
    print: (text) => writeAll(answersFd, `${text}\n`),
    remark: (text) => void process.stderr.write(`${text}\n`),
  })
  ended = true
  process.exitCode = status
  setTimeout(() => process.exit(), PATIENCE_MS).unref()
}

function writeAll(fd: number, text: string): void {
  let rest = Buffer.from(text)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') return // whoever read it has read enough
      if (code !== 'EAGAIN') throw error // a pipe that is full, and does not block
    }
  }
}
