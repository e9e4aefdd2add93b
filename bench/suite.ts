// Runs the plan: round by round, and within a round system by system, so that a noisy minute hits all of them.
// A system that fails leaves a row that says why, and the suite goes on.
import type { Plan } from './arguments.js'
import { figuresInWords } from './columns.js'
import { startPostgres } from './postgres-server.js'
import { type Progress, showProgress } from './progress.js'
import { redisVersion } from './redis-server.js'
import { type Figures, middleOf, type Row } from './row.js'
import { type Entry, OutOfTime, type Scenario } from './scenarios/scenario.js'
import { Site } from './site.js'

export interface Results {
  rows: Row[]
  redis: string
  postgres: string
}

interface Measured {
  scenario: Scenario
  entry: Entry
  rounds: number
  figures: Figures[]
  failed?: string
}

export async function runSuite(plan: Plan): Promise<Results> {
  const all = plan.scenarios.map((scenario) => entriesOf(plan, scenario))
  const progress = showProgress(all.flat().reduce((runs, { rounds }) => runs + rounds, 0))
  const postgres = await startPostgres()
  const stop = () => {
    progress.stop()
    void postgres.stop().finally(() => process.exit(130))
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    for (const measured of all) await runRounds(measured, (run) => measure(run, postgres, plan.profileDir, progress))
    return { rows: all.flat().map(rowOf), redis: redisVersion(), postgres: postgres.version }
  } finally {
    progress.stop()
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
    await postgres.stop()
  }
}

function entriesOf(plan: Plan, scenario: Scenario): Measured[] {
  const rounds = plan.rounds ?? scenario.rounds
  return (plan.pendings ?? scenario.pendings).flatMap((pending) =>
    plan.systems
      .filter((system) => scenario.systems.includes(system))
      .flatMap((system) => scenario.entries(system, plan.n ?? scenario.n, pending))
      .map((entry) => ({ scenario, entry, rounds, figures: [] })),
  )
}

async function runRounds(measured: Measured[], run: (one: Measured) => Promise<void>): Promise<void> {
  const most = Math.max(0, ...measured.map(({ rounds }) => rounds))
  for (let round = 0; round < most; round += 1) {
    for (const one of measured) if (round < one.rounds) await run(one)
  }
}

/** What did not deliver all within its patience is not waited for again. */
function isHopeless({ entry, figures, failed }: Measured): boolean {
  return failed !== undefined || figures.some(({ delivered = entry.n }) => delivered < entry.n)
}

type Postgres = Awaited<ReturnType<typeof startPostgres>>

/** A run that fails gets one more chance, since a busy machine fails some. */
const TRIES = 2

async function measure(one: Measured, postgres: Postgres, profileDir: string | undefined, progress: Progress): Promise<void> {
  progress.start(nameOf(one))
  if (isHopeless(one)) return progress.done('not repeated')
  for (let tried = 1; ; tried += 1) {
    try {
      const figures = await runOnce(one, postgres, profileDir)
      one.figures.push(figures)
      return progress.done(figuresInWords(figures))
    } catch (error) {
      if (tried < TRIES && !(error instanceof OutOfTime)) continue
      one.failed = error instanceof Error ? error.message : String(error)
      return progress.done(`failed: ${one.failed}`)
    }
  }
}

async function runOnce({ scenario, entry }: Measured, postgres: Postgres, profileDir: string | undefined): Promise<Figures> {
  const site = await Site.open(postgres, profileDir)
  try {
    return await scenario.run(site, entry)
  } finally {
    await site.close()
  }
}

function nameOf({ scenario, entry }: Measured): string {
  const parts = [
    scenario.name,
    entry.system,
    entry.variant,
    entry.workers && `${entry.workers} workers`,
    entry.pending && `${entry.pending} pending`,
  ]
  return parts.filter(Boolean).join(', ')
}

function rowOf({ scenario, entry, rounds, figures, failed }: Measured): Row {
  const { system, variant, workers, n, pending } = entry
  return {
    scenario: scenario.name,
    system,
    ...(variant !== undefined && { variant }),
    ...(workers !== undefined && { workers }),
    n,
    pending,
    rounds: Math.min(rounds, figures.length),
    ...middleOf(figures),
    ...(failed !== undefined && { failed }),
  }
}
