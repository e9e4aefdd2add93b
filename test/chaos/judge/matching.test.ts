import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Matching } from '../../../chaos/judge/matching.js'

const graphs = fc
  .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 }))
  .chain(([left, right]) => fc.array(fc.array(fc.boolean(), { minLength: right, maxLength: right }), { minLength: left, maxLength: left }))

describe('a matching', () => {
  it('matches as many as any matching does', () => {
    fc.assert(
      fc.property(graphs, (fits) => {
        const matching = new Matching(fits.length, fits[0]?.length ?? 0, (left, right) => fits[left]![right]!)
        const matched = fits.filter((_row, left) => matching.matchLeft(left)).length
        assert.equal(matched, most(fits, new Set()))
      }),
    )
  })

  it('keeps what was matched from the right, gives each right one once, and only what fits', () => {
    fc.assert(
      fc.property(graphs, (fits) => {
        const rights = fits[0]?.length ?? 0
        const matching = new Matching(fits.length, rights, (left, right) => fits[left]![right]!)
        const kept = Array.from({ length: rights }, (_none, right) => right).filter((right) => matching.matchRight(right))
        for (let left = 0; left < fits.length; left += 1) matching.matchLeft(left)
        const pairs = fits.flatMap((_row, left) => (matching.ofLeft(left) === undefined ? [] : [[left, matching.ofLeft(left)!] as const]))
        const taken = pairs.map(([, right]) => right)
        assert.equal(new Set(taken).size, taken.length)
        for (const [left, right] of pairs) assert.ok(fits[left]![right])
        for (const right of kept) assert.ok(taken.includes(right))
      }),
    )
  })
})

/** By trying everything. */
function most(fits: readonly boolean[][], taken: ReadonlySet<number>): number {
  const [first, ...rest] = fits
  if (!first) return 0
  const free = first.flatMap((isFit, right) => (isFit && !taken.has(right) ? [right] : []))
  return Math.max(most(rest, taken), ...free.map((right) => 1 + most(rest, new Set([...taken, right]))))
}
