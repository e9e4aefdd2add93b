import assert from 'node:assert/strict'
import { cellsText, countCells, orderSpans } from '../../chaos/cells.js'
import type { Change, Histories, Wish } from '../../chaos/history.js'

const wish = (id: string, feature: Wish['feature'], invokedAt: number, completedAt: number): Wish => ({
  n: 1,
  process: 'shop 1',
  feature,
  kind: 'order_confirm',
  table: 'orders',
  id,
  call: 'schedule',
  asked: {},
  invokedAt,
  completedAt,
  answer: 'ok',
})
const change = (id: string, trueAt: number): Change => ({
  n: 1,
  table: 'orders',
  id,
  op: 'update',
  txid: '1',
  at: trueAt,
  trueAt,
  by: 'worker 1',
  from: null,
  to: null,
})
const history = (wishes: Wish[], changes: Change[]): Histories => ({ rules: [], wishes, changes, effects: [], deliveries: [], told: [] })
const bite = (beganAt: number, endedAt: number, bites = 1) => ({ kind: 'redis-killed' as const, beganAt, endedAt, bites })

describe('Fault × feature', () => {
  const found = history(
    [wish('1', 'deadline', 100, 110), wish('1', 'extend', 120, 130), wish('2', 'pause', 500, Number.POSITIVE_INFINITY)],
    [change('1', 300)],
  )
  const spans = orderSpans(found)

  it('counts an order while it was pending, from its first wish to its last change', () => {
    assert.deepEqual(countCells([bite(250, 260)], spans.values()), { 'redis-killed': { deadline: 1, extend: 1 } })
    assert.deepEqual(countCells([bite(310, 400)], spans.values()), {})
  })

  it('counts it once for each kind, however often that had an effect', () => {
    assert.deepEqual(countCells([bite(150, 160), bite(200, 210)], spans.values()), { 'redis-killed': { deadline: 1, extend: 1 } })
  })

  it('leaves out a fault without effect', () => {
    assert.deepEqual(countCells([bite(150, 160, 0)], spans.values()), {})
  })

  it('knows an order whose wish was never answered', () => {
    assert.deepEqual(countCells([bite(500, 510)], spans.values()), { 'redis-killed': { pause: 1 } })
  })

  it('is shown with a dot where the two never met', () => {
    assert.match(cellsText({ 'redis-killed': { deadline: 3 } }, ['deadline', 'pause']), /^redis-killed +3 +·$/m)
  })
})
