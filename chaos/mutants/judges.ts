// Who is asked about a planted bug: the suites that concern it, then the model, then the chaos run. By default one mocha runs all suites and
// the model, and ends with the first test that fails; the chaos run is asked only about what none of them has caught.

import { spawn } from 'node:child_process'
import type { RunResult } from '../run.js'
import type { PlantedBug } from './planted-bug.js'
import type { Results, Verdict } from './results.js'
import { MODEL, outputOf, runSuites, type SuitesOptions } from './suites.js'

export const CHAOS = 'chaos'

/** Short, and the same for every bug. */
const CHAOS_ARGUMENTS = ['--seconds', '20', '--workers', '2', '--orders-per-second', '150', '--seed', '20', '--json', '--no-shrink']
const CHAOS_LIMIT_MS = 600_000

/** No judge could say anything about a bug, since it keeps the tests from being loaded. */
export class NoVerdict extends Error {}

export interface JudgesOptions {
  /** The tree in which the bug stands. */
  directory: string
  results: Results
  /** Whether the chaos run is asked, and whether nobody else is. */
  chaos: boolean | 'alone'
  stopping: AbortSignal
}

export class Judges {
  constructor(private readonly options: JudgesOptions) {}

  /** Until one catches it. */
  async askUntilCaught(bug: PlantedBug): Promise<void> {
    if (this.options.chaos === 'alone') return this.askChaos(bug)
    const suites = this.notAsked(bug, [...bug.suites, MODEL])
    const { likely } = bug
    if (likely !== undefined && suites.length > 1 && (await this.askSuites(bug, bug.suites, { fgrep: likely }))) return
    if (suites.length > 0 && (await this.askSuites(bug, suites))) return
    await this.askChaos(bug)
  }

  /** Each by itself, also when another has caught it. */
  async askAll(bug: PlantedBug): Promise<void> {
    const suites = this.options.chaos === 'alone' ? [] : this.notAsked(bug, [...bug.suites, MODEL])
    for (const suite of suites) await this.askSuites(bug, [suite])
    await this.askChaos(bug)
  }

  /** Asks those that have caught something once more, without any bug; those that fail, a second time. What fails then has caught nothing. */
  async discardFalse(bugs: readonly PlantedBug[]): Promise<Verdict[]> {
    const { results } = this.options
    const catches = bugs.flatMap((bug) => results.catches(bug))
    const failing = await this.failuresOf(await this.failuresOf(catches.filter(({ judge }) => judge !== CHAOS)))
    const ofChaos = catches.filter(({ judge }) => judge === CHAOS)
    if (ofChaos.length > 0 && (await this.runChaos()).failed !== false) failing.push(...ofChaos)
    for (const verdict of failing) results.discard(verdict)
    return failing
  }

  private notAsked(bug: PlantedBug, judges: readonly string[]): string[] {
    const known = new Set(this.options.results.of(bug).map(({ judge }) => judge))
    return judges.filter((judge) => !known.has(judge))
  }

  /** @returns whether one of them has caught it. Of those that have not, nothing is noted where only some of their tests ran. */
  private async askSuites({ name }: PlantedBug, suites: readonly string[], options: SuitesOptions = {}): Promise<boolean> {
    const { directory, results, stopping } = this.options
    const beganAt = performance.now()
    const { failures, output } = await runSuites(directory, suites, options, stopping)
    if (stopping.aborted) return true
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

  private async askChaos(bug: PlantedBug): Promise<void> {
    const { results, stopping, chaos } = this.options
    if (!chaos || this.notAsked(bug, [CHAOS]).length === 0) return
    const { failed, output, broken, seconds } = await this.runChaos()
    if (stopping.aborted) return
    if (failed === undefined) throw new NoVerdict(`${bug.name}: no verdict of the chaos run:\n${output}`)
    await results.add({ bug: bug.name, judge: CHAOS, caught: failed, message: broken, seconds })
  }

  /** @returns `failed`: undefined where it did not come to its end */
  private async runChaos(): Promise<{ failed: boolean | undefined; output: string; broken: string; seconds: number }> {
    const { directory, stopping } = this.options
    const beganAt = performance.now()
    const child = spawn(process.execPath, ['--import', 'tsx', 'chaos/chaos.ts', ...CHAOS_ARGUMENTS], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let result = ''
    child.stdout.on('data', (chunk) => {
      result += chunk
    })
    const output = await outputOf(child, CHAOS_LIMIT_MS, stopping)
    const failed = child.exitCode === 0 ? false : child.exitCode === 1 ? true : undefined
    return { failed, output, broken: failed ? brokenIn(result) : '', seconds: secondsSince(beganAt) }
  }

  /** Those of these tests that fail as the tree is. */
  private async failuresOf(tests: readonly Verdict[]): Promise<Verdict[]> {
    const { directory, stopping } = this.options
    if (tests.length === 0 || stopping.aborted) return []
    const titles = [...new Set(tests.map(({ title }) => title as string))]
    const suites = [...new Set(tests.map(({ judge }) => judge))]
    const { failures, output } = await runSuites(directory, suites, { titles, all: true }, stopping)
    if (output !== undefined && !stopping.aborted) throw new Error(`the tests could not be run without a bug:\n${output}`)
    const failed = new Set(failures.map(({ title }) => title))
    return tests.filter(({ title }) => failed.has(title as string))
  }
}

/** The invariants that a run has found broken, each with how often. */
function brokenIn(result: string): string {
  const { anomalies } = JSON.parse(result) as Pick<RunResult, 'anomalies'>
  const counts = new Map<string, number>()
  for (const { invariant } of anomalies) counts.set(invariant, (counts.get(invariant) ?? 0) + 1)
  return [...counts].map(([invariant, count]) => `${invariant} (${count})`).join(', ')
}

function secondsSince(beganAt: number): number {
  return (performance.now() - beganAt) / 1000
}
