// How one process of the shop asks the others to do something to an order at the same instant: messages over loopback, past every fault. One that
// is gone or frozen simply does not do it.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Act } from './acts.js'

/** What to do, and when: milliseconds since 1970 of `trueNow`. */
export interface Request {
  act: Act
  at: number
}

const ENDING = '.port'

export class Peers {
  private constructor(
    private readonly socket: Socket,
    private readonly directory: string,
    private readonly name: string,
  ) {}

  /** @param directory where the run's processes leave their ports */
  static async open(directory: string, name: string, onRequest: (request: Request) => void): Promise<Peers> {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    socket.on('message', (text) => onRequest(JSON.parse(text.toString())))
    socket.on('error', () => {})
    socket.unref()
    const file = join(directory, `${name}${ENDING}`)
    writeFileSync(`${file}.new`, String(socket.address().port))
    renameSync(`${file}.new`, file)
    return new Peers(socket, directory, name)
  }

  /** Everybody but this process, in an order that is the same everywhere. */
  get others(): string[] {
    return readdirSync(this.directory)
      .filter((file) => file.endsWith(ENDING) && file !== `${this.name}${ENDING}`)
      .sort()
  }

  ask(other: string, request: Request): void {
    const port = Number(readFileSync(join(this.directory, other), 'utf8'))
    this.socket.send(JSON.stringify(request), port, '127.0.0.1')
  }

  close(): void {
    this.socket.close()
  }
}
