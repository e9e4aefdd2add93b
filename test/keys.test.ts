import assert from 'node:assert/strict'
import { Keys, KIND_SHAPE } from '../lib/keys.js'

describe("a timer's key", () => {
  it('is the kind and the id with a colon between them, after the prefix', () => {
    assert.equal(new Keys('').timer('order_confirm', '34'), 'order_confirm:34')
    assert.equal(new Keys('shop:a:').timer('order_confirm', '34'), 'shop:a:order_confirm:34')
  })

  it('is parsed as it was built, for any id', () => {
    for (const prefix of ['', 'shop:', 'shop:a']) {
      const keys = new Keys(prefix)
      for (const id of ['34', '', '1:2', '1; drop table orders', '\u{fffd}\0', 'x'.repeat(400)]) {
        assert.deepEqual(keys.parse(keys.timer('order_confirm', id)), { kind: 'order_confirm', id })
      }
    }
  })

  it('is external with another prefix, without a colon, or if it is too long', () => {
    const keys = new Keys('shop:')
    for (const name of [
      '',
      'shop:',
      'shop',
      'order_confirm:34',
      'shop:order_confirm',
      'xshop:order_confirm:34',
      `shop:k:${'1'.repeat(1_000_000)}`,
    ]) {
      assert.equal(keys.parse(name), 'external', name.slice(0, 40))
    }
  })

  it('has its sets in one slot of a cluster, under a word that no kind may have', () => {
    const { due, leases, lease, tombstones, failures } = new Keys('shop:').sets('order_confirm')
    for (const name of [due, leases, lease, tombstones, failures]) assert.match(name, /^shop:order-timers:\{order_confirm\}:/)
    assert.equal(new Set([due, leases, lease, tombstones, failures]).size, 5)
  })

  it('begins with a kind without a colon', () => {
    for (const kind of ['order_confirm', 'a', 'A-1.b', 'x'.repeat(64)]) assert.match(kind, KIND_SHAPE)
    for (const kind of ['', '1a', '_a', 'a:b', 'a b', 'a{b}', 'a\n', 'é', 'x'.repeat(65)]) assert.doesNotMatch(kind, KIND_SHAPE)
  })
})
