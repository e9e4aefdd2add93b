// How one process of the shop asks the others to do something to an order at the same instant: messages over loopback, past every fault. One that
// is gone does not do it, and one that is frozen does it later.

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

  /**
   * @param directory where the run's processes leave their ports
   * @param number of the process, which no other process of the run has
   */
  static async open(directory: string, name: string, number: number, onRequest: (request: Request) => void): Promise<Peers> {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    socket.on('message', (text) => onRequest(JSON.parse(text.toString())))
    socket.on('error', () => {})
    socket.unref()
    const file = join(directory, `${name}${ENDING}`)
    writeFileSync(`${file}.new`, `${socket.address().port} ${number}`)
    renameSync(`${file}.new`, file)
    return new Peers(socket, directory, name)
  }

  /** Everybody but this process, in an order that is the same everywhere. */
  get others(): string[] {
    return readdirSync(this.directory)
      .filter((file) => file.endsWith(ENDING) && file !== `${this.name}${ENDING}`)
      .sort()
  }

  /** The numbers of the other processes, the last one of each name. */
  get alive(): number[] {
    return this.others.map((other) => this.read(other)[1])
  }

  ask(other: string, request: Request): void {
    this.socket.send(JSON.stringify(request), this.read(other)[0], '127.0.0.1')
  }

  /** The port, and the number. */
  private read(file: string): [number, number] {
    return readFileSync(join(this.directory, file), 'utf8').split(' ').map(Number) as [number, number]
  }

  close(): void {
    this.socket.close()
  }
}
