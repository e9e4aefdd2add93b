// What the faults' witnesses rest on: what a proxy says it has done to a connection.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Link } from '../../chaos/link.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { holdsFor, waitUntil } from '../support/waiting.js'

describe('A link of a host', () => {
  let proxy: TcpProxy
  let client: Socket
  let answers: string
  let heard: string
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      heard += chunk
      socket.write(`re:${chunk}`)
    })
  })

  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })

  beforeEach(async () => {
    answers = heard = ''
    proxy = await TcpProxy.start((server.address() as AddressInfo).port)
    client = connect(proxy.port, '127.0.0.1')
    client.on('error', () => {})
    client.on('data', (chunk) => {
      answers += chunk
    })
    await once(client, 'connect')
    client.write('hello')
    await waitUntil(() => answers === 're:hello')
  })

  afterEach(async () => {
    client.destroy()
    await proxy.stop()
  })

  after((done) => void server.close(done))

  it('counts what went through', () => {
    const { requests, replies, heldBack, connectionsCut } = proxy.traffic
    assert.deepEqual({ requests, replies, heldBack, connectionsCut }, { requests: 1, replies: 1, heldBack: 0, connectionsCut: 0 })
  })

  it('loses one direction alone: the request is heard, and its answer does not come until the silence ends', async () => {
    proxy.silence('replies')
    client.write('1')
    await waitUntil(() => heard === 'hello1')
    await holdsFor(200, () => answers === 're:hello')
    proxy.pass()
    await waitUntil(() => answers === 're:hellore:1')
    assert.equal(proxy.traffic.heldBack, 1)
  })

  it('counts what a silence has held back, and nothing where nothing was sent', async () => {
    proxy.silence()
    proxy.pass()
    await holdsFor(100, () => proxy.traffic.heldBack === 0)
    proxy.silence()
    client.write('2')
    await holdsFor(200, () => heard === 'hello')
    proxy.pass()
    await waitUntil(() => answers === 're:hellore:2')
    assert.ok(proxy.traffic.heldBack >= 1)
  })

  it('stops the reply to one request, which the server has heard', async () => {
    const held = proxy.hold('guilty', 'replies')
    client.write('guilty')
    await held.seen
    assert.equal(heard, 'helloguilty')
    assert.equal(answers, 're:hello')
    held.release()
    await waitUntil(() => answers === 're:hellore:guilty')
  })

  it('to several servers counts, holds and cuts what goes to any of them', async () => {
    const { port } = server.address() as AddressInfo
    const link = await Link.open([port, port])
    const sent = link.count('requests', 'both')
    const held = link.hold('guilty', 'requests')
    const sockets = link.ports.map((one) => connect(one, '127.0.0.1').on('error', () => {}))
    for (const socket of sockets) socket.write('both')
    await waitUntil(() => sent.seen === 2)
    sockets[1]!.write('guilty')
    await held.seen
    assert.equal(heard.includes('guilty'), false)
    held.release()
    await waitUntil(() => heard.includes('guilty'))
    const cut = Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))))
    link.reset()
    await cut
    assert.equal(link.traffic.connectionsCut, 2)
    sent.end()
    await link.stop()
  })

  it('counts a text in one direction until that ends', async () => {
    const count = proxy.count('replies', 're:x')
    client.write('x')
    await waitUntil(() => answers.endsWith('re:x'))
    assert.equal(count.seen, 1)
    count.end()
    client.write('x')
    await waitUntil(() => answers.endsWith('re:xre:x'))
    assert.equal(count.seen, 1)
  })

  it('keeps pieces in their order, also when it delays no longer', async () => {
    for (let n = 0; n < 20; n += 1) {
      const { requests } = proxy.traffic
      proxy.delay(20)
      client.write('a')
      await waitUntil(() => proxy.traffic.requests > requests)
      proxy.pass()
      client.write('b')
      await waitUntil(() => heard.length === 'hello'.length + 2 * (n + 1))
    }
    assert.equal(heard, `hello${'ab'.repeat(20)}`)
  })

  it('counts the connections that it cuts, and the pieces that it delays', async () => {
    proxy.delay(50)
    client.write('3')
    await waitUntil(() => answers.endsWith('re:3'))
    assert.equal(proxy.traffic.delayed, 2)
    proxy.reset()
    await new Promise((resolve) => client.once('close', resolve))
    assert.equal(proxy.traffic.connectionsCut, 1)
  })
})
