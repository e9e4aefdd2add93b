// The commands: what each takes, what it calls in lib/admin, and what it prints. Nothing is decided here.

import { migration } from '../admin/migration.js'
import { migrationAsModule, migrationAsSql } from '../admin/migration-text.js'
import { plan } from '../admin/plan.js'
import { releaseBrake } from '../admin/release.js'
import { status } from '../admin/status.js'
import { sweepOnce } from '../admin/sweep-once.js'
import type { Runtime } from '../runtime.js'
import { planText } from './plan-text.js'
import { statusText } from './status-text.js'
import { sweepText } from './sweep-text.js'
import { readPackage } from './timers-module.js'
import { UsageError } from './usage-error.js'

/** What a command was given. */
export interface Given {
  runtime: Runtime
  directory: string
  values: Record<string, string | boolean | string[] | undefined>
  positionals: string[]
  print(text: string): void
  /** For what is no answer: to stderr. */
  remark(text: string): void
}

export interface Command {
  usage: string
  help: string
  options: Record<string, { type: 'string' | 'boolean'; multiple?: boolean }>
  /** Names of what must be given without a dash. */
  positionals: string[]
  /** Looks at what was given before anything is loaded. @throws UsageError */
  check?(given: Pick<Given, 'values'>): void
  /** @returns the exit status */
  run(given: Given): Promise<number>
}

/** Exit statuses; 2, wrongly typed, is run.ts's. */
export const FINE = 0
export const WRONG = 1
export const COULD_NOT_LOOK = 3

export const MODULE = { module: { type: 'string' } } as const

export const COMMANDS: Record<string, Command> = {
  plan: {
    usage: 'plan [--json] [--days N]',
    help: 'what each rule would settle at once, what it holds back, and what comes due by the hour; changes nothing',
    options: { ...MODULE, json: { type: 'boolean' }, days: { type: 'string' } },
    positionals: [],
    check: ({ values }) => void daysOf(values.days),
    async run({ runtime, values, print }) {
      const days = daysOf(values.days)
      const plans = await plan(runtime, { days })
      print(values.json ? json({ days, rules: plans }) : planText(plans, days))
      if (plans.some(({ unreachable }) => unreachable)) return COULD_NOT_LOOK
      return plans.some(({ problem }) => problem !== undefined) ? WRONG : FINE
    },
  },
  status: {
    usage: 'status [--json]',
    help: 'how the timers stand, and whether Postgres and Redis answer (exit status 1 where not)',
    options: { ...MODULE, json: { type: 'boolean' } },
    positionals: [],
    async run({ runtime, values, print }) {
      const found = await status(runtime)
      print(values.json ? json(found) : statusText(found))
      return found.ok ? 0 : 1
    },
  },
  sweep: {
    usage: 'sweep [--stale] [--kind KIND]',
    help: 'one pass over what is overdue; with --stale also over what "staleAfter" holds back (exit status 1 where something failed)',
    options: { ...MODULE, stale: { type: 'boolean' }, kind: { type: 'string' } },
    positionals: [],
    async run({ runtime, values, print, remark }) {
      const result = await sweepOnce(runtime, {
        stale: values.stale === true,
        kind: values.kind as string | undefined,
        onFailed: ({ kind, id, error }) => remark(`${kind} ${id}: failed: ${error instanceof Error ? error.message : String(error)}`),
      })
      print(sweepText(result))
      const failed = Object.values(result.kinds).some(({ failed, brakedSince }) => failed > 0 || brakedSince !== null)
      return failed || result.faults.length > 0 ? 1 : 0
    },
  },
  release: {
    usage: 'release KIND',
    help: 'lets a rule go on that its brake has stopped',
    options: MODULE,
    positionals: ['KIND'],
    async run({ runtime, positionals, print }) {
      const [kind = ''] = positionals
      const wasStopped = await releaseBrake(runtime, kind)
      print(wasStopped ? `${kind}: released` : `${kind}: was not stopped; its count begins anew`)
      return 0
    },
  },
  migration: {
    usage: 'migration [--sql] [--trigger] [--kind KIND]…',
    help: 'prints what the rules need of the database, as a module for umzug and sequelize-cli or as SQL; runs nothing',
    options: { ...MODULE, sql: { type: 'boolean' }, trigger: { type: 'boolean' }, kind: { type: 'string', multiple: true } },
    positionals: [],
    async run({ runtime, directory, values, print, remark }) {
      const made = migration(runtime, { kinds: values.kind as string[] | undefined, trigger: values.trigger === true })
      for (const note of made.notes) remark(note)
      const format = readPackage(directory).type === 'module' ? 'esm' : 'commonjs'
      print((values.sql ? migrationAsSql(made) : migrationAsModule(made, format)).trimEnd())
      return 0
    },
  },
}

function daysOf(given: unknown): number {
  const days = given === undefined ? 3 : Number(given)
  if (Number.isInteger(days) && days >= 1 && days <= 366) return days
  throw new UsageError(`--days must be a whole number from 1 to 366, got ${JSON.stringify(given)}`)
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2)
}
