// A TCP port on loopback that nobody listens on, so that a server can be started, killed and started again on the same one. While it is down nobody
// else may take its port, so each process of tests has a range of its own, in TEST_PORTS, and takes them in turn. They lie below those that the
// system gives out.

import { once } from 'node:events'
import { createServer } from 'node:net'

const [first, last] = (process.env.TEST_PORTS ?? '30000-32767').split('-').map(Number) as [number, number]
let next = first + Math.floor(Math.random() * (last - first))

export async function freePort(): Promise<number> {
  for (;;) {
    const port = next
    next = port === last ? first : port + 1
    if (await isFree(port)) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false
    throw error
  }
  server.close()
  await once(server, 'close')
  return true
}
