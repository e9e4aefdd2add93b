import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { Keys } from '../lib/keys.js'
import { hashTag, MOST_PARTITIONS, SLOTS, slotOf, tagIn, tagOf } from '../lib/slots.js'

/** ioredis's own. */
const calculateSlot = createRequire(import.meta.resolve('ioredis'))('cluster-key-slot') as (key: string) => number

describe('slots of a cluster', () => {
  it('are those of ioredis, with hash tags and without', () => {
    for (const key of ['order_confirm:34', '{a}b', 'a{b}c{d}', '{}', '{a{b}c', '{a', 'größe:1', ''])
      assert.equal(slotOf(key), calculateSlot(key), key)
    assert.equal(hashTag('shop:{1b2}:due'), '1b2')
    assert.equal(hashTag('a{}{b}'), undefined)
  })

  it('of partitions differ, and lie evenly over as many nodes as there are partitions', () => {
    for (const partitions of [1, 3, 8, 12, MOST_PARTITIONS]) {
      const slots = Array.from({ length: partitions }, (_, partition) => slotOf(tagOf(partition, partitions)))
      assert.equal(new Set(slots).size, partitions)
      for (let nodes = 1; nodes <= partitions; nodes += 1) {
        const shares = Array(nodes).fill(0)
        for (const slot of slots) shares[Math.floor((slot * nodes) / SLOTS)] += 1
        assert.ok(Math.max(...shares) - Math.min(...shares) <= 1, `${partitions} partitions on ${nodes} nodes: ${shares}`)
      }
      assert.equal(tagOf(0, partitions), tagOf(0, 1)) // the record of the layout is there
    }
  })
})

describe('hash tags', () => {
  it('of every slot are found', () => {
    const found = new Set<number>()
    for (let n = 0; found.size < SLOTS && n < 1_000_000; n += 1) found.add(slotOf(n.toString(36)))
    assert.equal(found.size, SLOTS)
    assert.equal(slotOf(tagIn(new Set([SLOTS, 0]))), 0)
  })

  it('of no slot are refused, and so are partitions that are not there', () => {
    for (const slots of [[], [SLOTS], [-1], [0.5], [Number.NaN]]) assert.throws(() => tagIn(new Set(slots)), RangeError)
    for (const partition of [4, 5, -1, Number.NaN]) assert.throws(() => tagOf(partition, 4), /RangeError: there is no partition \S+ of 4$/)
  })
})

describe('the keys of a cluster', () => {
  const keys = new Keys('shop:', true)

  it('of one partition share a slot, and with them those of its expiry probe', () => {
    for (const partition of keys.everyPartition) {
      const { due, ...others } = keys.sets('order_confirm', partition)
      for (const name of [...Object.values(others), keys.sets('order_pay', partition).due, keys.expiryProbe('w', partition)])
        assert.equal(slotOf(name), slotOf(due), name)
    }
    assert.equal(new Set(keys.everyPartition.map((partition) => slotOf(keys.sets('order_confirm', partition).due))).size, 8)
    for (const name of [keys.layout, keys.processes, keys.lateness(1)]) assert.equal(slotOf(name), slotOf(keys.sets('order_pay').due))
  })

  it('of timers are those of one server, and each has an empty set in its slot', () => {
    for (const id of ['34', 'a{b}c', '{34}']) {
      assert.equal(slotOf(keys.nothingBeside('order_confirm', id)), slotOf(keys.timer('order_confirm', id)))
      assert.ok(keys.nothingBeside('order_confirm', id).startsWith('shop:order_confirm:'), 'a user with rights on these keys may name it')
    }
    assert.equal(keys.timer('order_confirm', '34'), 'shop:order_confirm:34')
  })

  it('have ids spread evenly over the partitions', () => {
    const parts = keys.split(Array.from({ length: 8_000 }, (_, i) => String(1_000_000 + i)))
    for (const [partition, ids] of parts) assert.ok(Math.abs(ids.length - 1_000) < 150, `${ids.length} in ${partition}`)
  })
})
