// A server that speaks just enough of Postgres's protocol to fail as a real one does when it goes down at the wrong moment, which no real
// server can be made to do on demand: it accepts a connection, and ends it, with the last two messages in one packet.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { enter } from './opened.js'

const AUTHENTICATION_OK = message('R', Buffer.from([0, 0, 0, 0]))
const READY_FOR_QUERY = message('Z', Buffer.from('I'))
const ADMIN_SHUTDOWN = message('E', Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'))

export class DyingPostgres {
  accepted = 0
  private readonly close: () => void

  private constructor(private readonly server: Server) {
    this.close = enter('a dying Postgres', () => this.stop())
    server.on('connection', (socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        this.accepted += 1
        socket.end(Buffer.concat([AUTHENTICATION_OK, READY_FOR_QUERY, ADMIN_SHUTDOWN]))
      })
    })
  }

  static async start(): Promise<DyingPostgres> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new DyingPostgres(server)
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${(this.server.address() as AddressInfo).port}/postgres`
  }

  async stop(): Promise<void> {
    this.server.close()
    await once(this.server, 'close')
    this.close()
  }
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html: its type, its length with these four bytes, its body. */
function message(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return Buffer.concat([Buffer.from(type), length, body])
}
