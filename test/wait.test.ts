// Limits that count only the time in which the process ran: what arrived while it stood still is read before anything is judged.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { afterRunning } from '../lib/wait.js'
import { blockEventLoop } from './support/standing-still.js'

describe('a limit on running time', () => {
  it('is over after its time', async () => {
    const begin = performance.now()
    await new Promise<void>((resolve) => afterRunning(600, resolve))
    const passed = performance.now() - begin
    assert.ok(passed >= 595 && passed < 2_000, `${passed}`)
  })

  it('is over at once where it is none', async () => {
    await new Promise<void>((resolve) => afterRunning(0, resolve))
  })

  it('does not end before what came while the process stood still is read', async () => {
    const server = createServer((socket) => void socket.on('data', (asked) => socket.write(asked))).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    await once(socket, 'connect')
    const order: string[] = []
    const answered = once(socket, 'data').then(() => order.push('answer'))
    const limit = new Promise<void>((resolve) =>
      afterRunning(300, () => {
        order.push('limit')
        resolve()
      }),
    )
    socket.write('?')
    blockEventLoop(1_500)
    await Promise.all([answered, limit])
    assert.deepEqual(order, ['answer', 'limit'])
    socket.destroy()
    server.close()
    await once(server, 'close')
  })

  it('does not end before what came while the event loop was busy is read, however short that was', async () => {
    const { hostname, port } = new URL(process.env.REDIS_URL as string)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    const order: string[] = []
    const answered = once(socket, 'data').then(() => order.push('answer'))
    const limit = new Promise<void>((resolve) =>
      afterRunning(100, () => {
        order.push('limit')
        resolve()
      }),
    )
    socket.write('PING\r\n')
    await new Promise((resolve) => process.nextTick(resolve))
    blockEventLoop(400)
    await Promise.all([answered, limit])
    assert.deepEqual(order, ['answer', 'limit'])
    socket.destroy()
  })

  it('ends although the process stands still again and again', async () => {
    const blocking = setInterval(() => blockEventLoop(700), 1)
    await new Promise<void>((resolve) => afterRunning(300, resolve))
    clearInterval(blocking)
  }).timeout(60_000)

  it('never ends once it is cancelled', async () => {
    let ended = false
    afterRunning(50, () => {
      ended = true
    })()
    await new Promise<void>((resolve) => afterRunning(150, resolve))
    assert.equal(ended, false)
  })
})
