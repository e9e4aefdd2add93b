// A worker in a process of its own, to be killed with SIGKILL, frozen, stopped, or given another clock.

import type { ModelStatic, Options, Sequelize } from 'sequelize'
import type { Rules } from '../../lib/index.js'
import { ChildProgram } from './child-program.js'
import type { OrderRow } from './order.js'
import { compiledUrl } from './programs.js'

export interface WorkerConfig {
  databaseUrl: string
  schema: string
  redisUrl: string
  prefix: string
  /** The URL of a module that exports `makeRules`. */
  rules: string
  /** Its connections' application_name, by which the ledger knows it. */
  name: string
  fallback: string | false
  pool?: Options['pool']
  /** How long its claims hold without a sign of life. Default: the worker's own. */
  leaseMs?: number | undefined
  /** How far its clock is off. */
  clockMs?: number
}

/** What a worker answers to `{ report: true }`. */
export interface WorkerReport {
  failed: number
  dead: number
  /** Every fault that it told of so far. */
  faults: string[]
}

export interface RulesModule {
  makeRules(Order: ModelStatic<OrderRow>, sequelize: Sequelize): Rules
}

export type WorkerProcess = ChildProgram

const MAIN = new URL('./worker-main.ts', import.meta.url)

/** Starts one and waits until its `ready` is fulfilled. */
export function startWorkerProcess(config: WorkerConfig, options?: { readyWithin?: number }): Promise<WorkerProcess> {
  return ChildProgram.start(MAIN, inPrograms(config), options)
}

/** Starts one without waiting: what it needs may be down. */
export function launchWorkerProcess(config: WorkerConfig): WorkerProcess {
  return ChildProgram.launch(MAIN, inPrograms(config))
}

function inPrograms(config: WorkerConfig): WorkerConfig {
  return { ...config, rules: compiledUrl(config.rules) }
}
