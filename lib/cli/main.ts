#!/usr/bin/env node
// The program `order-timers`. Only answers go to stdout, since they are piped into files and programs, but the shop's modules may print there too.
// So the command runs in a child process whose stdout is this process's stderr, and which writes its answer to another descriptor. A worker runs in this
// process itself, so that what is started, signalled and killed is the worker.

import { spawn } from 'node:child_process'
import { constants } from 'node:os'

/** The environment variable with the descriptor that the child writes its answer to. */
const ANSWERS = 'ORDER_TIMERS_CLI_ANSWERS'
const ANSWERS_FD = 3

const answersFd = process.env[ANSWERS]
delete process.env[ANSWERS] // programs that the shop's modules start must not inherit it
if (answersFd === undefined && process.argv[2] === 'worker')
  void import('./child.js').then(({ runCommand }) => runCommand(process.argv.slice(2), 1))
else if (answersFd === undefined) startChild()
else void import('./child.js').then(({ runCommand }) => runCommand(process.argv.slice(2), Number(answersFd)))

function startChild(): void {
  const nodeOptions = process.execArgv.filter((option) => !option.startsWith('--inspect')) // only one process can use the port
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
