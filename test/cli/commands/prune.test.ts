import assert from 'node:assert/strict'
import { transition } from '../../../lib/index.js'
import { openActingShop } from '../../admin/actions/acting.js'
import { openProject, timersModule } from '../../support/command-line.js'
import { makeTimers } from '../../support/shop.js'

describe('order-timers prune --redis', function () {
  this.timeout(60_000)

  it('shows what removed rules have left, and removes it once that is confirmed', async () => {
    const shop = await openActingShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
    }))
    const project = await openProject()
    const confirm = "order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' })"
    const where = `redis: '${shop.redis.url}', prefix: '${shop.redis.prefix}'`
    await project.write('timers.mjs', timersModule(shop.database, confirm, where))
    const former = makeTimers({ order_former: () => {} }, { redis: shop.redis.url, prefix: shop.redis.prefix })
    await former.schedule('order_former', 34, { after: '1h' })
    await former.close()

    const shown = await project.orderTimers('prune', '--redis')
    assert.deepEqual([shown.status, shown.stderr], [1, SHOWN])
    assert.match(shown.stdout, /^would remove:\nrule +timers +dead letters +on rows +keys\norder_former +1 +0 +not known +2\n$/)
    const refused = await project.orderTimers('prune', '--redis', 'order_former', '--yes')
    assert.equal(refused.status, 2)
    assert.match(refused.stderr, /order_former: timers: 1, dead letters: 0; perhaps they are only in Redis/)
    const json = await project.orderTimers('prune', '--redis', '--yes', '--drop-timers', '--reason', 'the rule was removed', '--json')
    const rule = { kind: 'order_former', armed: 1, claimed: 0, dead: 0, onRows: false, keys: 2 }
    assert.deepEqual([json.status, JSON.parse(json.stdout)], [0, { removes: true, rules: [rule] }])
    assert.deepEqual(await project.orderTimers('prune', '--redis'), { status: 0, stdout: 'nothing is left in Redis\n', stderr: '' })
    const [entry] = await shop.recorded()
    assert.deepEqual([entry?.action, entry?.via, entry?.reason, entry?.count], ['prune --redis', 'command', 'the rule was removed', 1])

    for (const args of [
      ['--older-than', '2d', '--redis'],
      ['--older-than', '2d', '--yes'],
      ['--older-than', '2d', 'order_former'],
      ['--redis', 'order_confirm'],
    ])
      assert.equal((await project.orderTimers('prune', ...args)).status, 2, args.join(' '))
    await Promise.all([shop.close(), project.close()])
  })
})

const SHOWN = 'nothing was removed; add --yes to remove what is shown, and --drop-timers to lose the timers that no row may have\n'
