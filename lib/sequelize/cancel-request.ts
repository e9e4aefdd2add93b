// Postgres's CancelRequest: asks the server, over a separate connection, to cancel the statement of a connection. There is no answer, and the
// request may come too late (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS).

import { connect } from 'node:net'
import type { PoolConnection } from './internals.js'

const CANCEL_REQUEST = 80_877_102

/** @returns whether a request could be sent: pg's native client does not know its session's key. Never throws. */
export function requestCancel({ processID, secretKey, host, port }: PoolConnection, limitMs: number): boolean {
  if (typeof processID !== 'number' || host === undefined || port === undefined) return false
  const key = typeof secretKey === 'number' ? int32(secretKey) : secretKey
  if (!Buffer.isBuffer(key)) return false
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host)
  socket.on('error', () => {})
  socket.setTimeout(limitMs, () => socket.destroy())
  socket.unref()
  socket.end(Buffer.concat([int32(12 + key.length), int32(CANCEL_REQUEST), int32(processID), key]))
  return true
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
