// Who is asked about a planted bug: the suites that concern it, then the model, then the chaos run. By default one mocha runs all suites and
// the model, and ends with the first test that fails; the chaos run is asked only about what none of them has caught.

import { spawn } from 'node:child_process'
import type { PlantedBug } from './planted-bug.js'
import type { Results, Verdict } from './results.js'
import { MODEL, outputOf, runSuites, type SuitesOptions } from './suites.js'

export const CHAOS = 'chaos'

/** Short, and the same for every bug. */
const CHAOS_ARGUMENTS = ['--seconds', '15', '--workers', '2', '--seed', '20', '--json']
const CHAOS_LIMIT_MS = 240_000

/** Tells what no judge could say anything about: the bug keeps the tests from being loaded. */
export class NoVerdict extends Error {}

/** Until one catches it. */
export async function askUntilCaught(directory: string, bug: PlantedBug, results: Results, withChaos: boolean): Promise<void> {
  if (results.catches(bug).length > 0) return
  const known = new Set(results.of(bug).map(({ judge }) => judge))
  const suites = [...bug.suites, MODEL].filter((suite) => !known.has(suite))
  const { likely } = bug
  if (likely !== undefined && suites.length > 1 && (await askSuites(directory, bug, bug.suites, results, { fgrep: likely }))) return
  if (suites.length > 0 && (await askSuites(directory, bug, suites, results))) return
  if (withChaos && !known.has(CHAOS)) await results.add(await askChaos(directory, bug))
}

/** Each by itself, also when another has caught it. */
export async function askAll(directory: string, bug: PlantedBug, results: Results, withChaos: boolean): Promise<void> {
  const known = new Set(results.of(bug).map(({ judge }) => judge))
  for (const suite of [...bug.suites, MODEL]) if (!known.has(suite)) await askSuites(directory, bug, [suite], results)
  if (withChaos && !known.has(CHAOS)) await results.add(await askChaos(directory, bug))
}

/** @returns whether one of them has caught it. Of those that have not, nothing is noted where only some of their tests ran. */
async function askSuites(
  directory: string,
  { name }: PlantedBug,
  suites: readonly string[],
  results: Results,
  options: SuitesOptions = {},
): Promise<boolean> {
  const beganAt = performance.now()
  const { failures, output } = await runSuites(directory, suites, options)
  if (output !== undefined) throw new NoVerdict(`${name}: no verdict of ${suites.join(', ')}:\n${output}`)
  const seconds = secondsSince(beganAt)
  const [failure] = failures
  if (failure) {
    const { suite, title, message } = failure
    await results.add({ bug: name, judge: suite || (suites[0] as string), caught: true, title, message, seconds })
    return true
  }
  if (options.fgrep !== undefined) return false
  for (const judge of suites) await results.add({ bug: name, judge, caught: false, seconds: seconds / suites.length })
  return false
}

async function askChaos(directory: string, { name }: PlantedBug): Promise<Verdict> {
  const beganAt = performance.now()
  const child = spawn(process.execPath, ['--import', 'tsx', 'chaos/chaos.ts', ...CHAOS_ARGUMENTS], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = await outputOf(child, CHAOS_LIMIT_MS)
  return { bug: name, judge: CHAOS, caught: child.exitCode !== 0, message: output.slice(-400), seconds: secondsSince(beganAt) }
}

function secondsSince(beganAt: number): number {
  return (performance.now() - beganAt) / 1000
}
