#!/usr/bin/env node
// The program `order-timers`. Answers alone go to stdout, since they are piped into files and programs, whatever the shop's modules print by
// whatever means: so the command runs in a child process whose stdout is our stderr, and its answer goes to our stdout by another descriptor.

import { spawn } from 'node:child_process'
import { constants } from 'node:os'

/** Names the descriptor that the child writes its answer to. */
const ANSWERS = 'ORDER_TIMERS_CLI_ANSWERS'
const ANSWERS_FD = 3

const answersFd = process.env[ANSWERS]
delete process.env[ANSWERS] // programs that the shop's modules start are not concerned
if (answersFd === undefined) startChild()
else void import('./child.js').then(({ carryOut }) => carryOut(process.argv.slice(2), Number(answersFd)))

function startChild(): void {
  const nodeOptions = process.execArgv.filter((option) => !option.startsWith('--inspect')) // one process alone can have the port
  const child = spawn(process.execPath, [...nodeOptions, ...process.argv.slice(1)], {
    stdio: [0, 2, 2, 1],
    env: { ...process.env, [ANSWERS]: String(ANSWERS_FD) },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    process.stderr.write(`order-timers: the command could not be started (${error.message})\n`)
    process.exitCode = 1
  })
  child.on('exit', (status, signal) => {
    process.exitCode = status ?? 128 + (signal ? constants.signals[signal] : 0)
  })
}
