import assert from 'node:assert/strict'
import { freePort } from '../support/free-port.js'
import { Lines } from '../support/lines.js'
import { openShop, type ShopOptions } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'
import { waitUntil } from '../support/waiting.js'

describe("the worker's line at its start", () => {
  const RULES = 'worker started: rules order_confirm, order_pay, order_ship, order_other; '
  const lineOf = async (options: ShopOptions, fallback: string | false = '0 0 1 1 *'): Promise<string> => {
    const lines = new Lines()
    const shop = await openShop(oneOfEach, { ...options, logger: lines })
    const worker = await shop.worker({ fallback })
    const started = () => lines.all.filter(({ fields }) => fields.code === 'WORKER_STARTED')
    const line = await waitUntil(() => started()[0])
    await worker.stop()
    await shop.close()
    assert.deepEqual([started().length, line.level], [1, 'info'])
    return line.message
  }

  it('names the rules, the next sweep, host, port and db of Redis, and whether events are proved', async () => {
    const { port } = new URL(process.env.REDIS_URL as string)
    const line = await lineOf({ redisUrl: `redis://127.0.0.1:${port}/1` })
    assert.match(
      line,
      new RegExp(
        `^${RULES}next sweep \\d{4}-01-01T00:00:00\\.000Z; Redis at 127\\.0\\.0\\.1:${port} db 1, expiry events proved to arrive$`,
      ),
    )
  })

  it('says that Redis does not answer, without the password, and that no sweep is scheduled', async () => {
    const port = await freePort()
    const line = await lineOf({ redis: `redis://:geheim@127.0.0.1:${port}` }, false)
    assert.equal(line, `${RULES}no sweep is scheduled; Redis at 127.0.0.1:${port} db 0 does not answer yet`)
  })

  it('says that there is no Redis', async () => {
    assert.equal(await lineOf({ redis: false }, false), `${RULES}no sweep is scheduled; no Redis, the sweep alone`)
  })
})
