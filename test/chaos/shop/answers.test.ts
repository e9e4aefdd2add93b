import assert from 'node:assert/strict'
import { answerOf, NotThere, OutcomeUnknown, RolledBack } from '../../../chaos/shop/answers.js'

const coded = (code: string, status: number) => Object.assign(new Error(), { code: `ERR_ORDER_TIMERS_${code}`, status })
const ofPostgres = (code: string) => Object.assign(new Error(), { name: 'SequelizeDatabaseError', parent: { code } })
const named = (name: string) => Object.assign(new Error(), { name })

describe('what an error says about a write of the shop’s', () => {
  it('is a refusal where nothing was certainly written', () => {
    const certain = [
      new NotThere(),
      new RolledBack('before COMMIT'),
      coded('ORDER_NOT_IN_FROM', 409),
      coded('EXTENSION_LIMIT', 409),
      coded('ROW_LOCKED', 503),
      coded('POSTGRES_UNAVAILABLE', 503),
      ofPostgres('55P03'),
      ofPostgres('57014'),
      ofPostgres('25006'),
      named('SequelizeConnectionAcquireTimeoutError'),
    ]
    for (const error of certain) assert.equal(answerOf(error), 'refused', String((error as { code?: string }).code ?? error.name))
  })

  it('is unknown where it may have been', () => {
    const doubtful = [
      new OutcomeUnknown('COMMIT'),
      coded('OUTCOME_UNKNOWN', 503),
      coded('REDIS_UNAVAILABLE', 503),
      ofPostgres('57P01'),
      ofPostgres('57P02'),
      named('SequelizeDatabaseError'),
      new Error('Connection terminated unexpectedly'),
    ]
    for (const error of doubtful) assert.equal(answerOf(error), 'unknown', String((error as { code?: string }).code ?? error.name))
  })
})
