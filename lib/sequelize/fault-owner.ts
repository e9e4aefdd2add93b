// Who owns a failure. The dispatcher, the sweep, the deliveries, the timers' calls and the command line decide by this answer alone what to do about it.
// Known by SQLSTATE and by what Sequelize and pg name their errors, never by their class: the shop may have another copy of both.

import { OrderTimersError } from '../errors.js'

/**
 * `rule`: the shop's own code, its triggers and constraints; counted as an attempt. `database`: Postgres or the network, retried for ever.
 * `configuration`: a statement of ours that cannot run on these tables; the rule rests until it can. `internal`: ours; told, never counted.
 */
export type FaultOwner = 'rule' | 'database' | 'configuration' | 'internal'

/** @param inShopsCode whether the shop's own code was running: its wrong SQL, its missing tables and its TypeErrors are its own */
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

/** Whether a failure is the database's or the network's, and so is retried for ever and never counted as an attempt. */
export function isDatabaseTrouble(error: unknown, inShopsCode = false): boolean {
  return faultOwnerOf(error, inShopsCode) === 'database'
}

/** Whether only planning the statement again can tell a wrong statement from a row that it fails on. */
export function isDoubtful(error: unknown): boolean {
  return /^(?:22|0A)/.test(sqlStateOf(error) ?? '')
}

/** lock_not_available, query_canceled: a look found a table locked, or took too long, and the rule itself may be right. */
export function isLocked(error: unknown): boolean {
  return ['55P03', '57014'].includes(sqlStateOf(error) ?? '')
}

/** The SQLSTATE (or the system's error code) of a failed statement. */
export function sqlStateOf(error: unknown): string | undefined {
  const code = failedStatement(error)?.code
  return typeof code === 'string' ? code : undefined
}

/** What pg says of a failed statement, beneath what Sequelize makes of it. */
interface FailedStatement {
  code?: unknown
  /** Where in the statement's text it is wrong; only of what is found while the statement is read, before any row is. */
  position?: unknown
  /** The calls within Postgres that led there, such as a trigger's. */
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
  if (TROUBLE.test(state)) return 'database'
  if (inShopsCode) return 'rule'
  if (TROUBLE_OUTSIDE_RULES.test(state)) return 'database'
  const { position, where } = failedStatement(error) ?? {}
  const context = typeof where === 'string' ? where : ''
  if (WRONG_STATEMENT.test(state)) return IN_FUNCTION.test(context) || isRowSecurity(error) ? 'rule' : 'configuration'
  const isWrong = position !== undefined || PARAMETER.test(context)
  return MAYBE_WRONG_STATEMENT.test(state) && isWrong && !IN_FUNCTION.test(context) ? 'configuration' : 'rule'
}

/** A policy refuses single rows; that it is in force is not wrong by itself. */
function isRowSecurity(error: unknown): boolean {
  return /row-level security/.test(textOf(error, 'message'))
}

/** pg's own errors: Sequelize hands on as they are those of its first statements on a new connection. */
function isOfConnecting(error: unknown, name: string, state: string | undefined): boolean {
  return (name === 'error' && state !== undefined) || LOST_CLIENT.test(textOf(error, 'message'))
}

/** The system's and ioredis's own errors, which are nobody's fault here. */
function isOfNetwork(error: unknown, name: string, state: string | undefined): boolean {
  if (/^(?:ReplyError|MaxRetriesPerRequestError)$/.test(name)) return true
  return /^(?:E[A-Z]{3,}|E[A-Z]+_[A-Z]+)$/.test(state ?? '') || LOST_REDIS.test(textOf(error, 'message'))
}

function textOf(error: unknown, property: 'name' | 'message'): string {
  const value = (error as Partial<Record<string, unknown>> | null | undefined)?.[property]
  return typeof value === 'string' ? value : ''
}

// SQLSTATE classes, https://www.postgresql.org/docs/current/errcodes-appendix.html

const SQLSTATE = /^[0-9A-Z]{5}$/

/** Connection, rollback (deadlock, serialization), resources, operator, system, internal; a lock that was not to be had. */
const TROUBLE = /^(?:08|40|53|57|58|XX|55P03)/

/** Wrong transaction state (read only); the database itself is not there. */
const TROUBLE_OUTSIDE_RULES = /^(?:25|3D)/

/** Syntax error or access rule violation: a table, a column, a type or a right that is not there; a schema that is not. */
const WRONG_STATEMENT = /^(?:42|3F)/

/** Data exception, feature not supported: of a statement where Postgres says the place in its text, else of a row. */
const MAYBE_WRONG_STATEMENT = /^(?:22|0A)/

const IN_FUNCTION = /\bfunction\b|^SQL statement|\nSQL statement/

/** A parameter of another type than the model says that the column has. */
const PARAMETER = /\b(?:portal )?parameter \$\d/

/** How pg refuses statements on a connection that is lost. */
const LOST_CLIENT = /^(?:Client has encountered a connection error|Connection terminated)/

/** How ioredis says that it has no connection. */
const LOST_REDIS = /^(?:Connection is closed|Command timed out|Socket timeout|Stream isn't writeable)/

const BROKEN_CONNECTION = /connection|ECONN|EPIPE|ETIMEDOUT|timeout|socket/i
