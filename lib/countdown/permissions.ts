// Asks the shop which orders a customer may watch. Anything but a clear yes is a no.

import type { Request } from 'express'
import { errorText } from '../error-text.js'
import { show } from '../errors.js'
import type { Log } from '../logger.js'
import { askShop, WAIT_MS } from '../web/ask-shop.js'
import type { Watched } from './looks.js'
import type { CountdownOptions } from './options.js'
import type { Wish } from './wishes.js'

/** How many calls run at once, so that one page does not use the shop's whole pool. */
const AT_ONCE = 5

/** What the shop said of one order. `trouble`: that was neither true nor false. */
interface Answer {
  may: boolean
  isLate?: boolean
  trouble?: string
}

export class Permissions {
  constructor(
    private readonly authorize: CountdownOptions['authorize'],
    private readonly log: Log,
    private readonly waitMs = WAIT_MS,
  ) {}

  /**
   * The orders that may be watched. Never rejects. Text that cannot be an id is not asked about. If one call takes too long, the shop is not asked about the
   * rest: a hundred such calls would take minutes. The log gets one line for all of them, since customers choose the ids.
   * @param isGone whether the viewer has left
   */
  async of(req: Request, wishes: readonly Wish[], isGone: () => boolean): Promise<Set<Wish>> {
    const granted = new Set<Wish>()
    const left = wishes.values()
    const trouble: string[] = []
    let answers = true
    const ask = async () => {
      for (const wish of left) {
        if (!answers || isGone()) return
        if (!wish.watched) continue
        const answer = await this.ask(req, wish.watched)
        if (answer.isLate) answers = false
        if (answer.trouble !== undefined) trouble.push(answer.trouble)
        if (answer.may) granted.add(wish)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, ask))
    this.warn(trouble, answers)
    return granted
  }

  private async ask(req: Request, { kind, id }: Watched): Promise<Answer> {
    let answer: unknown
    let hasAnswered = false
    const ask = async () => {
      answer = await this.authorize(req, kind, id)
      hasAnswered = true
    }
    try {
      await askShop(ask, this.waitMs)
    } catch (error) {
      return { may: false, trouble: `threw (${errorText(error)})` }
    }
    if (typeof answer === 'boolean') return { may: answer }
    return { may: false, isLate: !hasAnswered, trouble: `must answer true or false within 10 s, got ${show(answer)}` }
  }

  private warn([first, ...others]: readonly string[], answers: boolean): void {
    if (first === undefined) return
    const orders = others.length === 0 ? 'the order was' : `this order and ${others.length} more of the request were`
    const rest = answers ? '' : ', and the rest of the request was not asked about'
    this.log('warn', `countdown: "authorize" ${first}; ${orders} not shown${rest}`, { code: 'COUNTDOWN_AUTHORIZE' })
  }
}
