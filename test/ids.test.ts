import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type IdParser, nameId, uuidId, wholeNumberId } from '../lib/ids.js'
import { INJECTIONS, NO_WHOLE_NUMBERS } from './support/bad-ids.js'

const small = wholeNumberId('SMALLINT')
const integer = wholeNumberId('INTEGER')
const bigint = wholeNumberId('BIGINT')
const UUID = '0b1f7c7a-3a2c-4f57-9d1c-1c1f0a9f6f10'

describe('an id', () => {
  it('of a whole-number key is the same as a number, a bigint and text', () => {
    for (const parse of [small, integer, bigint]) {
      assert.deepEqual(
        [34, 34n, '34'].map((id) => parse(id)),
        ['34', '34', '34'],
      )
    }
  })

  it('is accepted up to the largest that the column holds', () => {
    const limits: [IdParser, string, string][] = [
      [small, '32767', '32768'],
      [integer, '2147483647', '2147483648'],
      [bigint, '9223372036854775807', '9223372036854775808'],
    ]
    for (const [parse, largest, tooLarge] of limits) {
      assert.equal(parse(largest), largest)
      assert.equal(parse(BigInt(largest)), largest)
      assert.equal(parse(tooLarge), null)
      assert.equal(parse(BigInt(tooLarge)), null)
    }
    assert.equal(bigint('12345678901234567890'), null)
    assert.equal(bigint('9'.repeat(10_000)), null)
  })

  it('beyond 2^53 keeps every digit as text and as a bigint, and is refused as a number, which has lost some', () => {
    assert.equal(bigint('9007199254740993'), '9007199254740993')
    assert.equal(bigint(9007199254740993n), '9007199254740993')
    assert.equal(bigint(Number('9007199254740993')), null)
    assert.equal(bigint(Number.MAX_SAFE_INTEGER), String(Number.MAX_SAFE_INTEGER))
  })

  it('of a whole-number key has no other form, although Postgres would accept some', () => {
    for (const bad of NO_WHOLE_NUMBERS) {
      assert.equal(integer(bad), null, String(bad))
      assert.equal(bigint(bad), null, String(bad))
    }
  })

  it('that is a UUID is taken in any letter case and written in lower case', () => {
    assert.equal(uuidId(UUID), UUID)
    assert.equal(uuidId(UUID.toUpperCase()), UUID)
  })

  it('that is a UUID has no other form, although Postgres would accept some', () => {
    const almost = [UUID.replaceAll('-', ''), `{${UUID}}`, ` ${UUID}`, `${UUID}\n`, UUID.slice(1), `${UUID}0`, UUID.replace('0', 'g')]
    for (const bad of [...almost, ...NO_WHOLE_NUMBERS, 34, '34']) assert.equal(uuidId(bad), null, String(bad))
  })

  it('that is text is letters, digits and _ . ~ - and keeps its letter case', () => {
    for (const good of ['A-2026.11~22_b', '007', '-a', '_Uakgb_J5m9g', 34, 34n]) assert.equal(nameId(good), String(good))
    for (const bad of ['', ' a', 'a b', 'a:b', '~a', '.', 'a\n', 'a\0', 'ä', '訂單', 'a'.repeat(129), null, undefined, {}, 1.5]) {
      assert.equal(nameId(bad), null, String(bad))
    }
  })

  it('with SQL in it is refused, whatever the type of the key', () => {
    for (const bad of INJECTIONS) for (const parse of [integer, bigint, uuidId, nameId]) assert.equal(parse(bad), null, bad)
  })

  it('never throws, and what it is read as is read as itself', () => {
    const anything = fc.oneof(fc.anything(), fc.string({ unit: 'binary' }), fc.bigInt(), fc.integer(), fc.double())
    fc.assert(
      fc.property(anything, (value) => {
        for (const parse of [small, integer, bigint, uuidId, nameId]) {
          const id = parse(value)
          if (id !== null) assert.equal(parse(id), id)
        }
      }),
    )
  })
})
