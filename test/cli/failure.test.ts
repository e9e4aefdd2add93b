import assert from 'node:assert/strict'
import { statusOf } from '../../lib/cli/failure.js'
import { type ErrorName, OrderTimersError } from '../../lib/errors.js'

describe('the exit status of a command that failed', () => {
  const statuses: [ErrorName, number][] = [
    ['UNKNOWN_KIND', 2],
    ['NO_RUN', 2],
    ['ALREADY_HELD', 1],
    ['NOT_RECORDED', 1],
    ['REDIS_UNAVAILABLE', 3],
    ['POSTGRES_UNAVAILABLE', 3],
    ['HOLD_IN_FLIGHT', 3],
  ]
  for (const [name, status] of statuses) {
    it(`is ${status} for ${name}`, () => {
      assert.equal(statusOf(new OrderTimersError(name, 'orderTimers: it failed')), status)
    })
  }
})
