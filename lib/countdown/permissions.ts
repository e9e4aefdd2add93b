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

export class Permissions {
  constructor(
    private readonly authorize: CountdownOptions['authorize'],
    private readonly log: Log,
    private readonly waitMs = WAIT_MS,
  ) {}

  /**
   * The orders that may be watched. Never rejects. Text that cannot be an id is not asked about. If one call takes too long, the shop is not asked about the
   * rest: a hundred such calls would take minutes.
   * @param isGone whether the viewer has left
   */
  async of(req: Request, wishes: readonly Wish[], isGone: () => boolean): Promise<Set<Wish>> {
    const granted = new Set<Wish>()
    const left = wishes.values()
    let answers = true
    const ask = async () => {
      for (const wish of left) {
        if (!answers || isGone()) return
        if (!wish.watched) continue
        const answer = await this.may(req, wish.watched)
        if (answer === 'none') answers = false
        if (answer === true) granted.add(wish)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, ask))
    return granted
  }

  private async may(req: Request, { kind, id }: Watched): Promise<boolean | 'none'> {
    let answer: unknown
    let hasAnswered = false
    const ask = async () => {
      answer = await this.authorize(req, kind, id)
      hasAnswered = true
    }
    try {
      await askShop(ask, this.waitMs)
    } catch (error) {
      this.warn(`"authorize" threw (${errorText(error)})`)
      return false
    }
    if (typeof answer === 'boolean') return answer
    this.warn(`"authorize" must answer true or false within 10 s, got ${show(answer)}`)
    return hasAnswered ? false : 'none'
  }

  private warn(what: string): void {
    this.log('warn', `countdown: ${what}; the order was not shown`, { code: 'COUNTDOWN_AUTHORIZE' })
  }
}
