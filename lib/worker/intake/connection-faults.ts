// What is wrong with the connection to Redis, as faults of a worker: Redis does not answer, refuses the login, or refuses writes.

import { errorText } from '../../error-text.js'
import type { RedisConnection } from '../../redis/connection.js'
import { isReply } from '../../redis/replies.js'
import { explain } from '../../redis/trouble.js'
import type { ServerFaults } from '../faults.js'

/** The two possible reasons for a missing connection: no answer, or a refused login. Only one of them applies at a time. */
const UNCONNECTED = ['REDIS_UNAVAILABLE', 'REDIS_REFUSES'] as const

/** Reports lost connections and refused writes. @returns a function that ends it */
export function reportConnection(connection: RedisConnection, faults: ServerFaults): () => void {
  const { refusals, where } = connection
  let isUnusable = false // a server watch reports and clears the same of the server
  const up = () => {
    faults.clear('REDIS_UNAVAILABLE')
    if (isUnusable) faults.clear('REDIS_UNUSABLE')
    isUnusable = false
    if (!refusals.present) faults.clear('REDIS_REFUSES')
  }
  const down = (error: unknown) => {
    if (connection.leaving) return
    const { code, why, remedy } = explain(error, where)
    isUnusable ||= code === 'REDIS_UNUSABLE'
    const state = isReply(error)
      ? `does not serve (${errorText(error)})`
      : code === 'REDIS_UNUSABLE'
        ? `cannot serve: ${why}`
        : 'does not answer'
    for (const other of UNCONNECTED) if (other !== code && !(other === 'REDIS_REFUSES' && refusals.present)) faults.clear(other)
    faults.raise(code, { message: `Redis at ${where} ${state}; the sweep over Postgres carries on`, error, remedy })
  }
  return endAll([connection.onUp(up), connection.onDown(down), reportRefusedWrites(connection, faults)])
}

/** Reports the first write that Redis refuses, and that writes succeed again. @returns a function that ends it */
export function reportRefusedWrites({ refusals, where }: RedisConnection, faults: ServerFaults): () => void {
  const refused = refusals.onRefused(({ what, error, remedy }) => {
    const message = `Redis at ${where} refuses writes (${what}: ${errorText(error)}); the sweep over Postgres carries on`
    faults.raise('REDIS_REFUSES', { message, error, ...(remedy !== undefined && { remedy }) })
  })
  const accepted = refusals.onAccepted(() => faults.clear('REDIS_REFUSES'))
  return endAll([refused, accepted])
}

function endAll(ends: readonly (() => unknown)[]): () => void {
  return () => {
    for (const end of ends) end()
  }
}
