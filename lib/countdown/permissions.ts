// Asks the shop which orders somebody may watch. Whatever is not clearly a yes is a no.

import type { Request } from 'express'
import { errorText } from '../error-text.js'
import { show } from '../errors.js'
import type { Log } from '../logger.js'
import { askShop } from '../web/ask-shop.js'
import type { CountdownOptions } from './options.js'
import type { Wish } from './wishes.js'

/** Asked at once, so that one page does not take all of the shop's pool. */
const AT_ONCE = 5

export class Permissions {
  constructor(
    private readonly authorize: CountdownOptions['authorize'],
    private readonly log: Log,
  ) {}

  /** Those that may be watched. Never rejects. */
  async of(req: Request, wishes: readonly Wish[]): Promise<Set<Wish>> {
    const granted = new Set<Wish>()
    const left = wishes.values()
    const ask = async () => {
      for (const wish of left) if (await this.may(req, wish)) granted.add(wish)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, ask))
    return granted
  }

  private async may(req: Request, { kind, id }: Wish): Promise<boolean> {
    let answer: unknown
    try {
      answer = await askShop(() => this.authorize(req, kind, id))
    } catch (error) {
      this.warn(`"authorize" threw (${errorText(error)})`)
      return false
    }
    if (typeof answer !== 'boolean') this.warn(`"authorize" must answer true or false within 10 s, got ${show(answer)}`)
    return answer === true
  }

  private warn(what: string): void {
    this.log('warn', `countdown: ${what}; the order was not shown`, { code: 'COUNTDOWN_AUTHORIZE' })
  }
}
