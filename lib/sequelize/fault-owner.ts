// Classifies errors by their cause. The dispatcher, the sweep, the deliveries, the timers' calls and the command line use only this result to decide what to
// do. It uses SQLSTATEs and the names of Sequelize's and pg's errors, never classes, since the shop may have other copies.

import { OrderTimersError } from '../errors.js'
import {
  CONSTRAINT_VIOLATIONS,
  INFRASTRUCTURE,
  LOCK_WAIT_ENDED,
  SQLSTATE,
  WRONG_SERVER,
  WRONG_STATEMENT,
  WRONG_STATEMENT_OR_ROW,
} from './sqlstates.js'

/**
 * `rule`: the shop's own code, its triggers and constraints; counted as an attempt. `database`: Postgres or the network; retried forever.
 * `configuration`: one of our statements cannot run on these tables; the rule is suspended until it can. `internal`: ours; reported, never counted.
 */
export type FaultOwner = 'rule' | 'database' | 'configuration' | 'internal'

/** @param inShopsCode whether the shop's own code was running: then wrong SQL, missing tables and TypeErrors are the shop's */
export function faultOwnerOf(error: unknown, inShopsCode = false): FaultOwner {
  if (error instanceof OrderTimersError) return ofOwn(error, inShopsCode)
  const name = textOf(error, 'name')
  if (/^Sequelize(?:Connection|HostNot|AccessDenied)/.test(name)) return 'database'
  const state = sqlStateOf(error)
  const isOfDatabase = name.startsWith('Sequelize') || isOfConnecting(error, name, state)
  if (isOfDatabase && state !== undefined && SQLSTATE.test(state)) return ofStatement(error, state, inShopsCode)
  if (name === 'SequelizeValidationError') return 'rule'
  if (isOfDatabase && BROKEN_CONNECTION.test(textOf(error, 'message'))) return 'database'
  if (!inShopsCode && isOfNetwork(error, name, state)) return 'database'
  if (inShopsCode) return 'rule'
  return name === 'SequelizeDatabaseError' ? 'database' : 'internal'
}

/** Whether a failure is the database's or the network's, and so is retried forever and never counted as an attempt. */
export function isDatabaseTrouble(error: unknown, inShopsCode = false): boolean {
  return faultOwnerOf(error, inShopsCode) === 'database'
}

/** Whether the statement or a single row may be the reason; only planning the statement again can tell. */
export function isDoubtful(error: unknown): boolean {
  return WRONG_STATEMENT_OR_ROW.test(sqlStateOf(error) ?? '')
}

/** Whether a foreign key or a CHECK refused the row: because of the rule's own values, or other values of the row. */
export function isOfConstraint(error: unknown): boolean {
  return CONSTRAINT_VIOLATIONS.has(sqlStateOf(error))
}

/** Whether the check of a rule waited for a lock, or took too long: the rule itself may be right. */
export function isLocked(error: unknown): boolean {
  return LOCK_WAIT_ENDED.has(sqlStateOf(error))
}

/** Whether the statement failed within a function, such as a trigger's. */
export function isInFunction(error: unknown): boolean {
  const { where } = failedStatement(error) ?? {}
  return typeof where === 'string' && IN_FUNCTION.test(where)
}

/** The SQLSTATE (or the system's error code) of a failed statement. */
export function sqlStateOf(error: unknown): string | undefined {
  const code = failedStatement(error)?.code
  return typeof code === 'string' ? code : undefined
}

/** pg's own error, which Sequelize wraps. */
interface FailedStatement {
  code?: unknown
  /** The position of the error in the statement; only for errors found during parsing, before any row is read. */
  position?: unknown
  /** The call stack within Postgres, such as a trigger. */
  where?: unknown
}

function failedStatement(error: unknown): FailedStatement | undefined {
  const failed = error as (FailedStatement & { parent?: FailedStatement; original?: FailedStatement }) | null | undefined
  return failed?.parent ?? failed?.original ?? failed ?? undefined
}

function ofOwn({ code }: OrderTimersError, inShopsCode: boolean): FaultOwner {
  if (/_(?:POSTGRES_UNAVAILABLE|ROW_LOCKED|REDIS_UNAVAILABLE|REDIS_UNUSABLE)$/.test(code)) return 'database'
  if (!inShopsCode && /_(?:INVALID_MODEL|INVALID_STATUS|SHARED_DEADLINE|INVALID_OPTION)$/.test(code)) return 'configuration'
  return code.endsWith('_INTERNAL') ? 'internal' : 'rule'
}

function ofStatement(error: unknown, state: string, inShopsCode: boolean): FaultOwner {
  if (INFRASTRUCTURE.test(state)) return 'database'
  if (inShopsCode) return 'rule'
  if (WRONG_SERVER.test(state)) return 'database'
  const { position, where } = failedStatement(error) ?? {}
  const context = typeof where === 'string' ? where : ''
  if (WRONG_STATEMENT.test(state)) return IN_FUNCTION.test(context) || isRowSecurity(error) ? 'rule' : 'configuration'
  const isWrong = position !== undefined || PARAMETER.test(context)
  return WRONG_STATEMENT_OR_ROW.test(state) && isWrong && !IN_FUNCTION.test(context) ? 'configuration' : 'rule'
}

/** A row-level security policy refuses single rows, although its SQLSTATE is that of a missing right. */
function isRowSecurity(error: unknown): boolean {
  return /row-level security/.test(textOf(error, 'message'))
}

/** pg's own errors, which Sequelize does not wrap for its first statements on a new connection. */
function isOfConnecting(error: unknown, name: string, state: string | undefined): boolean {
  return (name === 'error' && state !== undefined) || LOST_CLIENT.test(textOf(error, 'message'))
}

/** Errors of the operating system and of ioredis. */
function isOfNetwork(error: unknown, name: string, state: string | undefined): boolean {
  if (/^(?:ReplyError|MaxRetriesPerRequestError)$/.test(name)) return true
  return /^(?:E[A-Z]{3,}|E[A-Z]+_[A-Z]+)$/.test(state ?? '') || LOST_REDIS.test(textOf(error, 'message'))
}

function textOf(error: unknown, property: 'name' | 'message'): string {
  const value = (error as Partial<Record<string, unknown>> | null | undefined)?.[property]
  return typeof value === 'string' ? value : ''
}

const IN_FUNCTION = /\bfunction\b|^SQL statement|\nSQL statement/

/** The column has another type than the model says. */
const PARAMETER = /\b(?:portal )?parameter \$\d/

/** pg's messages for a statement on a lost connection. */
const LOST_CLIENT = /^(?:Client has encountered a connection error|Connection terminated)/

/** ioredis's messages for a missing connection. */
const LOST_REDIS = /^(?:Connection is closed|Command timed out|Socket timeout|Stream isn't writeable)/

const BROKEN_CONNECTION = /connection|ECONN|EPIPE|ETIMEDOUT|timeout|socket/i
