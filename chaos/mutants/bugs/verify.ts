// Bugs of `verify`: what is asked, when, and what an answer is worth.

import type { PlantedBug } from '../planted-bug.js'

const STAGE = 'lib/worker/verifying/stage.ts'
const SUITES = ['test/worker/verifying/verifying.test.ts']

export const VERIFY_BUGS: readonly PlantedBug[] = [
  {
    name: 'verify-without-xmin',
    about: ['verify'],
    what: 'an answer is good for the order, whatever was written to it since: another payment that was begun meanwhile is overlooked',
    edits: [
      {
        file: 'lib/rows/settlement-sql.ts',
        find: 'this.proofs && isProvenSql(table, this.proofs)',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the source of a template
        replace: 'this.proofs && `(${this.proofs}::jsonb -> (${table.id}::text)) IS NOT NULL`',
      },
    ],
    suites: SUITES,
    likely: 'written between the question and the settlement',
  },
  {
    name: 'verify-in-transaction',
    about: ['verify'],
    what: 'the rows are locked while the payment service is asked, so a slow one holds connections and locks',
    edits: [
      {
        file: STAGE,
        find: 'answers = await ask(rule.row.verification, question, leaving)',
        replace: `answers = await rule.row.guard.table.sequelize.transaction(async (transaction) => {
        await rule.row.guard.table.model.findAll({ where: { id: orders.map(({ id }) => id) } as never, lock: true, transaction })
        return ask(rule.row.verification, question, leaving)
      })`,
      },
    ],
    suites: SUITES,
    likely: 'holds no connection',
  },
  {
    name: 'verify-settles-on-throw',
    about: ['verify'],
    what: 'where the payment service cannot be asked, orders are settled as without "verify"',
    edits: [
      {
        file: STAGE,
        find: 'else await this.failed(rule, orders, error, dispositions)',
        replace: 'else for (const { id, xmin } of orders) proofs.set(id, { xmin, at: new Date().toISOString() })',
      },
    ],
    suites: SUITES,
    likely: 'service that is down',
  },
  {
    name: 'verify-asks-at-once',
    about: ['verify'],
    what: 'an order whose answer is false comes back at once instead of in its time, and is asked about again and again',
    edits: [
      {
        file: STAGE,
        find: 'return { id, xmin, voidWord, waitMs: waitMs ?? againMs(falses), answer: String(answer), reference }',
        replace: 'return { id, xmin, waitMs: waitMs ?? 0, answer: String(answer), reference }',
      },
    ],
    suites: SUITES,
    likely: 'asks about it again in its time',
  },
]
