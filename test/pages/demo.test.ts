import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { inTime } from '../support/waiting.js'
import { openDemo } from './demo.js'

/** Shorter than the five seconds after which Node's server ends an idle connection by itself. */
const ASKS_EVERY_MS = 5

describe('the demo', function () {
  this.timeout(90_000)

  it('closes while pages ask for its figures on connections that stay open', async () => {
    const demo = await openDemo({ payAfter: '9s' })
    const agent = new Agent({ keepAlive: true })
    let answers = 0
    const ask = async () => {
      for (;;) {
        const [answer] = (await once(get(`${demo.address}/break/figures`, { agent }), 'response')) as [IncomingMessage]
        await once(answer.resume(), 'end')
        answers += 1
        await delay(ASKS_EVERY_MS)
      }
    }
    const pages = Promise.allSettled(Array.from({ length: 16 }, ask))
    while (answers < 500) await delay(ASKS_EVERY_MS)
    await inTime(demo.close(), 20_000, 'the demo to close')
    const ends = await pages
    agent.destroy()
    assert.ok(ends.every(({ status }) => status === 'rejected'))
  })
})
