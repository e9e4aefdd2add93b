// The shop's record of what it asks for: noted before it is asked, and the answer when it comes.

import type { Feature, Wish } from '../history.js'
import { trueNow } from '../history.js'
import type { Begun, Journal } from '../journal.js'
import { factsOf, type RuleKind } from '../rules.js'
import { answerOf } from './answers.js'

export interface Ask {
  kind: RuleKind
  call: Wish['call']
  id: string | null
  /** Default: the rule's first. */
  feature?: Feature
  asked?: Record<string, unknown>
  /** Default: a number of its own. */
  n?: number
  within?: number
}

/** What was answered about one order; `id` where the order was created. */
export type Got = NonNullable<Wish['got']> & { id?: string }

export class Wishes {
  private last: number
  count = 0

  /** @param first wishes are numbered from here: no other process has these numbers */
  constructor(
    private readonly journal: Journal,
    first: number,
  ) {
    this.last = first
  }

  number(): number {
    this.last += 1
    return this.last
  }

  /** Never rejects. @returns undefined where it was refused, or nobody knows */
  async make(ask: Ask, perform: () => Promise<Got>): Promise<Got | undefined> {
    return (await this.makeAll([ask], async () => [await perform()]))?.[0]
  }

  /** Several about different orders, which are answered at once: by one statement, or in one transaction. */
  async makeAll(asks: readonly Ask[], perform: () => Promise<readonly Got[]>): Promise<readonly Got[] | undefined> {
    const invokedAt = trueNow()
    const begun = asks.map((ask): Begun => {
      const { features, table } = factsOf(ask.kind)
      const { n = this.number(), feature = features[0] as Feature, asked = {} } = ask
      return { ...ask, n, feature, table, asked, invokedAt }
    })
    this.journal.write({ begun })
    this.count += begun.length
    try {
      const gots = await perform()
      const completedAt = trueNow() + 1
      this.journal.write({
        answered: begun.map(({ n, id }, i) => {
          const { id: createdId, ...got } = gots[i] ?? {}
          return { n, id, completedAt, answer: 'ok', got, ...(createdId !== undefined && { createdId }) }
        }),
      })
      return gots
    } catch (error) {
      const answer = answerOf(error)
      const got = whyOf(error)
      const completedAt = trueNow() + 1
      this.journal.write({ answered: begun.map(({ n, id }) => ({ n, id, completedAt, answer, got })) })
      return undefined
    }
  }
}

/** Of what made a transaction roll back, that error's. */
function whyOf(error: unknown): Got {
  const { cause } = error as { cause?: unknown }
  const { code, name, message = '' } = (cause ?? error) as { code?: string; name?: string; message?: string }
  return { code: code ?? name ?? '', message: message.slice(0, 200) }
}
