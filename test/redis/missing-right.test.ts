import assert from 'node:assert/strict'
import { transition } from '../../lib/index.js'
import { missingRight } from '../../lib/redis/missing-right.js'
import { aclRules } from '../../lib/redis/rights.js'
import { RedisServer } from '../support/redis-server.js'
import { refused } from '../support/refused.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

describe('a right that a user of Redis lacks', () => {
  it('is named in the fault of a web process and in the error of a call, also where it is missed within a script', async () => {
    const server = await RedisServer.start()
    const url = `redis://web:secret@127.0.0.1:${server.port}`
    const shop = await openShop(
      ({ Order }) => ({ order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }) }),
      { redis: url, redisUrl: server.url, prefix: '' },
    )
    const rules = aclRules('web', { prefix: '', db: 0, kinds: ['order_confirm'] })
    const set = (...more: string[]) => shop.redis.client.call('ACL', 'SETUSER', 'web', 'on', '>secret', ...rules.split(' '), ...more)
    const faults = async () => {
      await shop.timers.schedule('order_confirm', await shop.order({ status: 4 }))
      return waitUntil(() => shop.timers.health().faults.find(({ code }) => code === 'REDIS_REFUSES')?.remedy)
    }
    await set('-zadd')
    assert.match(await faults(), /^allow this user \+zadd;/)
    await set('-hget')
    const { message } = await refused(() => shop.timers.retry('order_confirm', 1))
    assert.match(message, /allow this user \+hget;/)
    await set()
    await waitUntil(() => shop.timers.health().faults.length === 0)
    await shop.close()
    await server.stop()
  })

  it('is named by its sort if Redis does not say more', () => {
    assert.equal(missingRight('NOPERM this user has no permissions to access one of the keys used as arguments')?.endsWith('(~…)'), true)
    assert.equal(
      missingRight('NOPERM this user has no permissions to access one of the channels used as arguments')?.endsWith('(&…)'),
      true,
    )
    assert.equal(
      missingRight("ERR The user executing the script can't run this command or subcommand script: 52d0, on @user_script:3."),
      undefined,
    )
  })
})
