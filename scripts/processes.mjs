// Runs the commands that set-up needs: quietly, unless they fail, and one set-up at a time for each user of the machine.
// A signal ends the command in hand and then set-up itself.

import { spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** What set-up could not do, and what the user can. It is printed without a stack. */
export class SetupError extends Error {}

/** Says on stderr what takes its time, so that stdout stays the job's own. */
export function say(text) {
  process.stderr.write(`set-up: ${text}\n`)
}

/** Ends the process with the message alone where set-up knows what went wrong. */
export function exitWith(error) {
  process.stderr.write(`${error instanceof SetupError ? `\nset-up: ${error.message}` : error.stack}\n`)
  process.exit(1)
}

/** Resolves to the output of a command that succeeded, and throws a SetupError with its output where it failed. */
export async function run(command, args, options = {}) {
  const { status, output } = await attempt(command, args, options)
  if (status === 0) return output
  throw new SetupError(`${command} ${args.join(' ')}\nfailed (${status}):\n\n${output.trimEnd()}`)
}

/** Resolves to the exit status and the output of a command, both streams in one. */
export function attempt(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    const chunks = []
    child.stdout.on('data', (chunk) => chunks.push(chunk))
    child.stderr.on('data', (chunk) => chunks.push(chunk))
    const release = endWithSignal(child)
    const settle = (status) => {
      release()
      resolve({ status, output: Buffer.concat(chunks).toString() })
    }
    child.once('error', (error) => {
      chunks.push(Buffer.from(error.message))
      settle(127)
    })
    child.once('close', (code, signal) => settle(code ?? signal))
  })
}

function endWithSignal(child) {
  const end = () => {
    child.kill('SIGTERM')
    child.once('close', () => process.exit(130))
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.once(signal, end)
  return () => {
    for (const signal of signals) process.off(signal, end)
  }
}

/** Does `work` unless `isDone()`, and never while another set-up of the same user does such work. */
export async function once(isDone, work) {
  if (await isDone()) return
  const release = await takeLock()
  try {
    if (!(await isDone())) await work()
  } finally {
    release()
  }
}

async function takeLock() {
  const path = join(tmpdir(), `express-order-timers-${process.getuid?.() ?? 'user'}.lock`)
  for (let told = false; ; ) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' })
      const release = () => rmSync(path, { force: true })
      process.once('exit', release)
      return () => {
        process.off('exit', release)
        release()
      }
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const owner = ownerOf(path)
    if (owner !== undefined && !isAlive(owner)) rmSync(path, { force: true })
    else if (!told) {
      say(`waiting for another set-up (process ${owner}) …`)
      told = true
    }
    await delay(200)
  }
}

function ownerOf(path) {
  try {
    return Number(readFileSync(path, 'utf8')) || undefined
  } catch {
    return undefined
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
