// Runs chosen tests, and nothing else, in a copy of the tree: a mocha of its own that loads only their files. Servers are those of the
// environment.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChosenTest } from './planted-bugs.js'

const TEST_LIMIT_MS = 20_000
const RUN_LIMIT_MS = 120_000

export interface Results {
  passed: ReadonlySet<string>
  /** The error's message by the test's full title. */
  failed: ReadonlyMap<string, string>
  /** The last of what was printed. */
  output: string
}

interface Report {
  passes: { fullTitle: string }[]
  failures: { fullTitle: string; err: { message?: string } }[]
}

export async function runTests(directory: string, tests: readonly ChosenTest[]): Promise<Results> {
  const reportFile = join(directory, 'report.json')
  await rm(reportFile, { force: true })
  const titles = tests.map(({ title }) => title.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', join('node_modules', 'mocha', 'bin', 'mocha.js'), '--no-config', '--require', 'test/support/hooks.ts'],
      ...['--timeout', String(TEST_LIMIT_MS), '--reporter', 'json', '--reporter-option', `output=${reportFile}`],
      ...['--grep', `^(${titles.join('|')})$`, ...new Set(tests.map(({ file }) => file))],
    ],
    { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const output = await outputOf(child)
  const report = await readFile(reportFile, 'utf8').catch(() => '{ "passes": [], "failures": [] }')
  const { passes, failures } = JSON.parse(report) as Report
  return {
    passed: new Set(passes.map(({ fullTitle }) => fullTitle)),
    failed: new Map(failures.map(({ fullTitle, err }) => [fullTitle, err.message ?? ''])),
    output,
  }
}

/** Waits for its end. SIGINT lets mocha end what its tests have started. */
async function outputOf(child: ChildProcess): Promise<string> {
  let output = ''
  const keep = (chunk: Buffer): void => {
    output = `${output}${chunk}`.slice(-4000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const limits = [setTimeout(() => child.kill('SIGINT'), RUN_LIMIT_MS), setTimeout(() => child.kill('SIGKILL'), RUN_LIMIT_MS + 20_000)]
  await once(child, 'close')
  for (const limit of limits) clearTimeout(limit)
  return output
}
