// Asks the shop who sends a request and what they may do. Anything but a clear yes is a no.

import type { Request } from 'express'
import { errorText } from '../error-text.js'
import { show } from '../errors.js'
import type { Log } from '../logger.js'
import { askShop, WAIT_MS } from '../web/ask-shop.js'
import { Refusal } from '../web/refusal.js'
import type { AdminGrant, AdminQuestion, Authorize } from './options.js'

/** Longer names are refused. */
const LONGEST_USER = 200

export class Authorization {
  constructor(
    private readonly authorize: Authorize,
    private readonly log: Log,
  ) {}

  /** @throws Refusal 403 */
  async grant(req: Request, question: AdminQuestion): Promise<AdminGrant> {
    const { user, can } = await this.answer(req, question)
    if (question.action === 'read' || can === 'act') return { user, can }
    throw new Refusal(403, 'READ_ONLY', 'you may read, but not act')
  }

  private async answer(req: Request, question: AdminQuestion): Promise<AdminGrant> {
    let answer: unknown
    try {
      answer = await askShop(() => this.authorize(req, question))
    } catch (error) {
      this.warn(`"authorize" threw (${errorText(error)})`)
      throw refused()
    }
    if (answer === false) throw refused()
    const grant = grantIn(answer)
    if (grant) return grant
    const got = answer === undefined ? `nothing within ${WAIT_MS / 1_000} s, or undefined` : show(answer)
    this.warn(
      `"authorize" must answer false or { user, can } with can "read" or "act", and user a text of 1 to ${LONGEST_USER} characters, got ${got}`,
    )
    throw refused()
  }

  private warn(what: string): void {
    this.log('warn', `orderTimersAdmin: ${what}; the request was refused`, { code: 'ADMIN_AUTHORIZE' })
  }
}

function grantIn(answer: unknown): AdminGrant | undefined {
  if (answer === null || typeof answer !== 'object') return undefined
  const { user, can } = answer as Partial<AdminGrant>
  if (typeof user !== 'string' || user.trim() === '' || user.length > LONGEST_USER) return undefined
  return can === 'read' || can === 'act' ? { user, can } : undefined
}

function refused(): Refusal {
  return new Refusal(403, 'REFUSED', 'this page is not for you; sign in to the shop, or ask whoever runs it')
}
