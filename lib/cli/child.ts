// The process that loads the shop's modules and runs the command. Its parent is main.ts.

import { writeSync } from 'node:fs'
import { UNAVAILABLE } from './command.js'
import { run } from './run.js'

/** A client or a timer that the shop's module keeps open must not keep this program from ending. */
const EXIT_MS = 1_000

/** @param answersFd the descriptor that the answer is written to */
export async function runCommand(args: readonly string[], answersFd: number): Promise<void> {
  let ended = false
  process.on('exit', (status) => {
    if (ended) return
    process.stderr.write(
      `order-timers: your module ended the process (status ${status}) before it had exported the timers; name a module that only makes them: --module FILE\n`,
    )
    process.exitCode = UNAVAILABLE
  })
  const status = await run(args, {
    directory: process.cwd(),
    print: (text) => writeAll(answersFd, `${text}\n`),
    remark: (text) => void process.stderr.write(`${text}\n`),
  })
  ended = true
  process.exitCode = status
  setTimeout(() => process.exit(), EXIT_MS).unref()
}

function writeAll(fd: number, text: string): void {
  let rest = Buffer.from(text)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') return // the reader has closed the pipe
      if (code !== 'EAGAIN') throw error // EAGAIN: the pipe is full
    }
  }
}
