// Runs test files, and nothing else, in a copy of the tree: one mocha of its own for all of them, which ends with the first test that fails.
// Servers are those of the environment.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'

const TEST_LIMIT_MS = 20_000
const RUN_LIMIT_MS = 300_000

/** Random stories of a shop: it concerns every bug. */
export const MODEL = 'test/model.test.ts'

/** A test that failed. */
export interface Catch {
  suite: string
  title: string
  message: string
}

export interface SuitesResult {
  passed: number
  failures: Catch[]
  /** The last of what was printed, where there is no report. */
  output: string | undefined
}

export interface SuitesOptions {
  /** Only tests with this part of a title. */
  fgrep?: string
  /** Only tests with these full titles. */
  titles?: readonly string[]
  /** Goes on after the first failure. */
  all?: boolean
}

interface Report {
  passes: unknown[]
  failures: { file?: string; fullTitle: string; err: { message?: string } }[]
}

export async function runSuites(
  directory: string,
  suites: readonly string[],
  options: SuitesOptions,
  stopping: AbortSignal,
): Promise<SuitesResult> {
  const { fgrep, titles, all = false } = options
  const reportFile = join(directory, 'report.json')
  await rm(reportFile, { force: true })
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', join('node_modules', 'mocha', 'bin', 'mocha.js'), '--no-config', '--require', 'test/support/hooks.ts'],
      ...['--timeout', String(TEST_LIMIT_MS), '--reporter', 'json', '--reporter-option', `output=${reportFile}`],
      ...(all ? [] : ['--bail']),
      ...(fgrep === undefined ? [] : ['--fgrep', fgrep]),
      ...(titles === undefined ? [] : ['--grep', `^(${titles.map(asPattern).join('|')})$`]),
      ...suites,
    ],
    { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, FAST_CHECK_SHRINK: 'off' } },
  )
  const output = await outputOf(child, RUN_LIMIT_MS, stopping)
  const report = await readFile(reportFile, 'utf8').catch(() => undefined)
  if (report === undefined) return { passed: 0, failures: [], output }
  const { passes, failures } = JSON.parse(report) as Report
  return {
    passed: passes.length,
    failures: failures.map(({ file, fullTitle, err }) => ({
      suite: file === undefined ? '' : relative(directory, file),
      title: fullTitle,
      message: inOneLine(err.message ?? ''),
    })),
    output: undefined,
  }
}

/** Waits for its end. SIGINT lets mocha end what its tests have started. */
export async function outputOf(child: ChildProcess, limitMs: number, stopping: AbortSignal): Promise<string> {
  let output = ''
  const keep = (chunk: Buffer): void => {
    output = `${output}${chunk}`.slice(-4000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const interrupt = () => child.kill('SIGINT')
  const limits = [setTimeout(interrupt, limitMs), setTimeout(() => child.kill('SIGKILL'), limitMs + 20_000)]
  stopping.addEventListener('abort', interrupt)
  await once(child, 'close')
  stopping.removeEventListener('abort', interrupt)
  for (const limit of limits) clearTimeout(limit)
  return output
}

function asPattern(title: string): string {
  return title.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

function inOneLine(message: string): string {
  const lines = message.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('+ actual'))
  return lines.slice(0, 6).join(' ').slice(0, 200)
}
