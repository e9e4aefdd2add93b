import assert from 'node:assert/strict'
import { listOrders, type OrderList } from '../../../lib/admin/order-list.js'
import { transition } from '../../../lib/index.js'
import { openProject, type Project, timersModule } from '../../support/command-line.js'
import { refused } from '../../support/refused.js'
import { runtimeOf } from '../../support/runtime.js'
import { openShop, type Shop } from '../../support/shop.js'

const HOUR_MS = 3_600_000
const RULES = `order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
  order_pay: transition(Order, { from: 1, to: 0, after: '15m', deadline: false })`

describe('order-timers list', function () {
  this.timeout(60_000)
  let shop: Shop<never>
  let project: Project

  beforeEach(async () => {
    project = await openProject()
    shop = (await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
      order_pay: transition(Order, { from: 1, to: 0, after: '15m', deadline: false }),
    }))) as unknown as Shop<never>
    await project.write('timers.mjs', timersModule(shop.database, RULES, `redis: '${shop.redis.url}', prefix: '${shop.redis.prefix}'`))
  })
  afterEach(() => Promise.all([shop.close(), project.close()]))

  const shipped = (at: number) => shop.order({ status: 4, confirmDueAt: new Date(at) })

  /** All pages, one after the other. */
  async function pagesOf(kind: string, state: OrderList['state'], limit: number): Promise<OrderList[]> {
    const pages: OrderList[] = []
    let after: string | undefined
    do {
      const page = await listOrders(runtimeOf(shop.timers), kind, { state, limit, after })
      pages.push(page)
      after = page.next ?? undefined
    } while (after !== undefined)
    return pages
  }

  it('shows what is to come by deadline, page by page, each order once, also where many have one deadline', async () => {
    const base = Date.now() + HOUR_MS
    const expected: string[] = []
    for (const inMs of [0, 0, 0, 1, 1, HOUR_MS]) expected.push(String(await shipped(base + inMs)))
    await shipped(Date.now() - HOUR_MS)
    const pages = await pagesOf('order_confirm', 'pending', 2)
    assert.deepEqual(
      pages.flatMap(({ orders }) => orders.map(({ id }) => id)),
      expected,
    )
    assert.deepEqual(pages[0]?.orders[0]?.deadline, new Date(base))
    const overdue = await pagesOf('order_confirm', 'overdue', 2)
    assert.deepEqual(
      overdue.map(({ orders }) => orders.map(({ id }) => id)),
      [['7']],
    )
  })

  it('also pages through timers that are only in Redis', async () => {
    const at = new Date(Date.now() + HOUR_MS)
    const expected: string[] = []
    for (let i = 0; i < 5; i += 1) {
      const id = await shop.order({ status: 1 })
      await shop.timers.schedule('order_pay' as never, id, { at })
      expected.push(String(id))
    }
    const pages = await pagesOf('order_pay', 'pending', 2)
    assert.deepEqual(
      pages.map(({ orders }) => orders.map(({ id }) => id)),
      [expected.slice(0, 2), expected.slice(2, 4), expected.slice(4)],
    )
    const { code } = await refused(() => listOrders(runtimeOf(shop.timers), 'order_pay', { state: 'held', limit: 2, after: undefined }))
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_ACTION')
  })

  it('prints a table and the command for the next page, which works; JSON has the same', async () => {
    for (let i = 1; i <= 3; i += 1) await shipped(Date.now() + i * HOUR_MS)
    const first = await project.orderTimers('list', 'order_confirm', '--limit', '2')
    assert.deepEqual([first.status, first.stderr], [0, ''])
    const [header, one = '', , , more = ''] = first.stdout.split('\n')
    assert.match(header as string, /^order {2}deadline {18}due$/)
    assert.match(one, /^1 {6}20\S+Z {2}in \d+ min$/)
    const [, typed = ''] = /^more: order-timers (.+)$/.exec(more) ?? []
    const second = await project.orderTimers(...typed.split(' '), '--json')
    const { orders, next, kind, state } = JSON.parse(second.stdout)
    assert.deepEqual([kind, state, orders.map(({ id }: { id: string }) => id), next], ['order_confirm', 'pending', ['3'], null])
    const none = await project.orderTimers('list', 'order_confirm', '--state', 'stale')
    assert.deepEqual(none, { status: 0, stdout: 'order_confirm: no order is stale\n', stderr: '' })
  })

  it('refuses wrong input with exit status 2', async () => {
    const typed = [
      ['order_confrm'],
      ['order_confirm', '--state', 'late'],
      ['order_confirm', '--limit', '0'],
      ['order_confirm', '--after', 'x'],
    ]
    const ended = await Promise.all(typed.map((args) => project.orderTimers('list', ...args)))
    assert.deepEqual(
      ended.map(({ status, stdout }) => [status, stdout]),
      typed.map(() => [2, '']),
    )
    assert.match(ended[1]?.stderr as string, /--state must be one of pending, overdue,/)
  })
})
