#!/usr/bin/env node
// The program `order-timers`.

import { run } from './run.js'

/** What the shop's own module keeps open (a Redis client, a timer) must not keep this program from ending. */
const PATIENCE_MS = 1_000

// Answers alone go to stdout, whatever the shop's modules print: they are piped into files and programs.
console.log = console.error
console.info = console.error
console.debug = console.error

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error // EPIPE: whoever read it has read enough
})

void run(process.argv.slice(2), {
  directory: process.cwd(),
  print: (text) => void process.stdout.write(`${text}\n`),
  remark: (text) => void process.stderr.write(`${text}\n`),
}).then((status) => {
  process.exitCode = status
  setTimeout(() => process.exit(), PATIENCE_MS).unref()
})
