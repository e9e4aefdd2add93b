// Runs one after the other for many minutes, each with a seed of its own. Each result is added to a file as soon as it is there, so that a long
// run that was broken off goes on where it stopped.

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import type { Arguments } from './arguments.js'
import { makePlan } from './plan.js'
import { Random } from './random.js'
import { type RunResult, runChaos } from './run.js'

/** A line of the file: a result, and how long the run took, from its start to its verdict. */
type LineOf<Result> = Result & { tookMs: number }

type Line = LineOf<RunResult>

/**
 * Runs until so many minutes are spent, counting those of the runs that the file has already.
 * @param tell what is said of a run: what it was about, and what was broken
 * @returns all of the file's results
 */
export async function repeat<Result extends { seed: number }>(
  { minutes, results: file, seed: first }: { minutes: number; results: string; seed: number },
  run: (seed: number) => Promise<Result>,
  tell: (result: Result) => { count: string; anomalies: readonly string[] },
  say: (text: string) => void,
): Promise<LineOf<Result>[]> {
  const done = readResults<Result>(file)
  if (done.length > 0) say(`${file} has ${done.length} runs already; they count`)
  const spentMs = () => done.reduce((sum, { tookMs }) => sum + tookMs, 0)
  const base = done[0]?.seed ?? first
  while (spentMs() < minutes * 60_000) {
    const seed = (base + done.length) % 2 ** 32
    const beganAt = performance.now()
    const result = await run(seed)
    const line = { ...result, tookMs: Math.round(performance.now() - beganAt) }
    appendFileSync(file, `${JSON.stringify(line)}\n`)
    done.push(line)
    const leftMinutes = Math.max(0, minutes - spentMs() / 60_000)
    const { count, anomalies } = tell(result)
    say(`run ${done.length}, seed ${seed}: ${count}, ${anomalies.length} anomalies; ${leftMinutes.toFixed(0)} of ${minutes} minutes left`)
    for (const text of anomalies.slice(0, 5)) say(`  BROKEN ${text}`)
  }
  return done
}

export interface Sum {
  runs: number
  timers: number
  settled: number
  wishes: number
  unknown: number
  faults: number
  /** How many anomalies, and in the runs of which seeds. */
  anomalies: number
  failedSeeds: number[]
  slowestRecoveryMs: number
}

export async function runForMinutes(options: Arguments & { minutes: number }, say: (text: string) => void): Promise<number> {
  const { seconds, workers, ordersPerSecond, beside, json, redis, postgres } = options
  const servers = { ...(redis && { redis }), ...(postgres && { postgres }) }
  const run = (seed: number): Promise<RunResult> => {
    const plan = makePlan(new Random(seed), { seed, seconds, workers, ordersPerSecond, ...servers }, { beside: beside !== undefined })
    return runChaos(plan, { beside, say: () => {} })
  }
  const tell = ({ timers, anomalies }: RunResult) => ({
    count: `${timers} timers`,
    anomalies: anomalies.map(({ invariant, order, message }) => `${invariant}: ${order} ${message}`),
  })
  const sum = sumUp(await repeat({ ...options, results: options.results ?? `chaos-${options.seed}.jsonl` }, run, tell, say))
  process.stdout.write(`${JSON.stringify(sum, null, json ? undefined : 2)}\n`)
  return sum.anomalies === 0 ? 0 : 1
}

function sumUp(lines: readonly Line[]): Sum {
  const total = (figure: (line: Line) => number) => lines.reduce((sum, line) => sum + figure(line), 0)
  return {
    runs: lines.length,
    timers: total(({ timers }) => timers),
    settled: total(({ settled }) => settled),
    wishes: total(({ wishes }) => wishes),
    unknown: total(({ unknown }) => unknown),
    faults: new Set(lines.flatMap(({ faults }) => Object.keys(faults))).size,
    anomalies: total(({ anomalies }) => anomalies.length),
    failedSeeds: lines.filter(({ anomalies }) => anomalies.length > 0).map(({ seed }) => seed),
    slowestRecoveryMs: Math.max(0, ...lines.map(({ recoveredMs }) => recoveredMs)),
  }
}

/** None where there is no such file. The last line may have been cut. */
export function readResults<Result>(file: string): LineOf<Result>[] {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as LineOf<Result>]
      } catch {
        return []
      }
    })
}
