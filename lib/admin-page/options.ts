// The options of `orderTimersAdmin(timers, …)`, checked once, when the router is made.

import type { Request } from 'express'
import type { Model } from 'sequelize'
import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'

/** What a user wants to do: read, or one of the actions. */
export type AdminAction =
  | 'read'
  | 'extend'
  | 'pause'
  | 'resume'
  | 'cancel'
  | 'settle'
  | 'settle unverified'
  | 'retry'
  | 'discard'
  | 'hold'
  | 'release'

/** What a request is about. */
export interface AdminQuestion {
  action: AdminAction
  /** The rule that an action or an answer is limited to; undefined if the answer is about all rules. */
  kind: string | undefined
  /** How many orders the action is about; 0 for `read`, `hold` and `release`. */
  count: number
}

/** The user's name, as it is recorded with each action, and whether they may act. */
export interface AdminGrant {
  user: string
  can: 'read' | 'act'
}

/** Says who sends a request and what they may do; `false` refuses. A function that throws or returns anything else also refuses. */
export type Authorize = (req: Request, question: AdminQuestion) => AdminGrant | false | Promise<AdminGrant | false>

/** The columns of an order that the page shows, by the heading of each. */
export type ShowOrder = (order: Model) => Record<string, string | number | bigint | boolean | Date | null | undefined>

export interface AdminOptions {
  /** Called for every request, for every action, and every 30 s during a stream. */
  authorize: Authorize
  /** What the page shows of an order besides its id, status and deadline. Default: nothing. */
  show?: ShowOrder | undefined
  /** Origins of the page, such as `https://admin.example.com`, for browsers that do not send `Sec-Fetch-Site`. Default: the request's own. */
  origins?: readonly string[] | undefined
}

export interface ParsedAdminOptions {
  authorize: Authorize
  show: ShowOrder | undefined
  origins: ReadonlySet<string>
}

const WHERE = 'orderTimersAdmin'

/** @throws OrderTimersError INVALID_OPTION */
export function parseAdminOptions(options: AdminOptions): ParsedAdminOptions {
  if (options === null || typeof options !== 'object')
    throw invalid(`takes its options as an object, such as { authorize }, got ${show(options)}`)
  refuseUnknownOptions(WHERE, options, ['authorize', 'show', 'origins'])
  const { authorize, show: columns, origins = [] } = options
  if (typeof authorize !== 'function') {
    const form = 'async (req, { action }) => false or { user, can } with can "read" or "act"'
    throw invalid(`"authorize" must be a function: ${form}; without it everybody could cancel orders; got ${show(authorize)}`)
  }
  if (columns !== undefined && typeof columns !== 'function') throw invalid(`"show" must be a function of an order, got ${show(columns)}`)
  if (!Array.isArray(origins)) throw invalid(`"origins" must be an array of origins, got ${show(origins)}`)
  return { authorize, show: columns, origins: new Set(origins.map(parseOrigin)) }
}

function parseOrigin(origin: unknown): string {
  try {
    const { origin: parsed, protocol } = new URL(String(origin))
    if (typeof origin === 'string' && parsed === origin.toLowerCase() && /^https?:$/.test(protocol)) return parsed
  } catch {
    // said below
  }
  throw invalid(`"origins" must have origins without a path, such as 'https://admin.example.com', got ${show(origin)}`)
}

function invalid(message: string): OrderTimersError {
  return new OrderTimersError('INVALID_OPTION', `${WHERE}: ${message}`)
}
