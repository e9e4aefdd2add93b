// `npm run chaos`: several workers and shops, and a random but seeded stream of faults on servers of its own. At the end all that was asked,
// changed and carried out is judged. Exit status 1 where anything is off, 2 for wrong arguments.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ArgumentError, type Arguments, parseArguments } from './arguments.js'
import { cellsText } from './cells.js'
import { FEATURES } from './history.js'
import { runForMinutes } from './long-run.js'
import { runPaymentsForMinutes } from './payments/long-run.js'
import { runPayments } from './payments/run.js'
import { makePlan, type Plan, PlanError, parsePlan } from './plan.js'
import { Random } from './random.js'
import { type RunResult, runChaos } from './run.js'
import { shrink } from './shrink.js'

const MOST_SHRINKING_RUNS = 24
const SHOWN_ANOMALIES = 40

const say = (text: string): void => void process.stderr.write(`${text}\n`)

main().then(
  (status) => {
    process.exitCode = status
  },
  (error: unknown) => {
    const isWrong = error instanceof ArgumentError || error instanceof PlanError
    say(isWrong ? error.message : String((error as Error).stack))
    process.exitCode = isWrong ? 2 : 1
  },
)

async function main(): Promise<number> {
  const options = parseArguments(process.argv.slice(2))
  const { beside, minutes, save } = options
  if (options.shop === 'payments') return payments(options)
  if (beside !== undefined && !existsSync(join(beside, 'lib', 'index.ts')))
    throw new ArgumentError(`--beside must be a checkout of this package, and ${join(beside, 'lib', 'index.ts')} does not exist`)
  if (minutes !== undefined) return runForMinutes({ ...options, minutes }, say)

  const plan = planOf(options)
  if (save !== undefined) writeFileSync(save, `${JSON.stringify(plan, null, 2)}\n`)
  say(`seed ${plan.seed}: ${plan.seconds} s with ${plan.workers} workers and ${plan.faults.length} faults${onServers(plan)}`)
  const result = await runChaos(plan, { beside, say })
  say(cellsText(result.cells, FEATURES))
  for (const { invariant, order, message } of result.anomalies.slice(0, SHOWN_ANOMALIES)) say(`BROKEN ${invariant}: ${order} ${message}`)
  if (result.anomalies.length > 0 && options.shrink) await showSmallest(plan, result, beside)
  process.stdout.write(`${JSON.stringify(result, null, options.json ? undefined : 2)}\n`)
  return result.anomalies.length === 0 ? 0 : 1
}

async function payments({ lookOnly = false, minutes, json, ...options }: Arguments): Promise<number> {
  const asking = lookOnly ? 'look' : 'close'
  if (minutes !== undefined) return runPaymentsForMinutes({ ...options, minutes, asking, json, say })
  const result = await runPayments({ ...options, asking, say })
  for (const text of result.anomalies.slice(0, SHOWN_ANOMALIES)) say(`BROKEN ${text}`)
  process.stdout.write(`${JSON.stringify(result, null, json ? undefined : 2)}\n`)
  // A mere look cannot close the gap: what comes through is counted, and only what else is wrong fails the run.
  return result.anomalies.length === 0 ? 0 : 1
}

function planOf({ plan, seed, seconds, workers, ordersPerSecond, beside, redis, postgres }: Arguments): Plan {
  if (plan === undefined) {
    const servers = { ...(redis && { redis }), ...(postgres && { postgres }) }
    return makePlan(new Random(seed), { seed, seconds, workers, ordersPerSecond, ...servers }, { beside: beside !== undefined })
  }
  let text: string
  try {
    text = readFileSync(plan, 'utf8')
  } catch (cause) {
    throw new ArgumentError(`--plan: ${(cause as Error).message}`)
  }
  return parsePlan(text, plan)
}

function onServers({ redis, postgres }: Plan): string {
  return [redis && `, redis: ${redis}`, postgres && `, postgres: ${postgres}`].filter(Boolean).join('')
}

/** The smallest plan that still breaks one of the invariants that this one broke. */
async function showSmallest(plan: Plan, { anomalies }: RunResult, beside: string | undefined): Promise<void> {
  const broken = new Set(anomalies.map(({ invariant }) => invariant))
  broken.delete('coverage')
  if (broken.size === 0 || plan.faults.length === 0) return
  say(`making the plan smaller, in at most ${MOST_SHRINKING_RUNS} runs: whatever can be left out while it breaks ${[...broken].join(', ')}`)
  const fails = async (smaller: Plan): Promise<boolean> => {
    const result = await runChaos(smaller, { beside, say: () => {} })
    const stillBroken = result.anomalies.some(({ invariant }) => broken.has(invariant))
    say(`${smaller.faults.length} faults in ${smaller.seconds} s: ${stillBroken ? 'it still breaks' : 'all held'}`)
    return stillBroken
  }
  const { plan: smallest, runs, smallest: isSmallest } = await shrink(plan, fails, MOST_SHRINKING_RUNS)
  say(`after ${runs} runs, ${isSmallest ? 'the smallest plan that breaks it' : 'the limit of runs; so far the smallest that broke it'}:`)
  say(JSON.stringify(smallest))
  say('write it to a file, and run it with --plan FILE')
}
