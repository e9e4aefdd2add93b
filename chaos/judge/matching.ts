// A matching between two small sets: as many on the left as possible get one on the right, each right at most once, and a right one that was
// matched stays matched. So "every change has a cause" and "every acknowledged wish has its change" can be demanded together.

export class Matching {
  private readonly rightOf: (number | undefined)[]
  private readonly leftOf: (number | undefined)[]

  /** @param fits whether the left one may be matched with the right one */
  constructor(
    private readonly left: number,
    private readonly right: number,
    private readonly fits: (left: number, right: number) => boolean,
  ) {
    this.rightOf = new Array<number | undefined>(left).fill(undefined)
    this.leftOf = new Array<number | undefined>(right).fill(undefined)
  }

  /** Matches this left one, and moves others out of its way where that helps. @returns whether it could be matched */
  matchLeft(left: number): boolean {
    return this.rightOf[left] !== undefined || this.augmentLeft(left, new Set())
  }

  /** The same from the other side. Every left one that was matched stays matched. */
  matchRight(right: number): boolean {
    return this.leftOf[right] !== undefined || this.augmentRight(right, new Set())
  }

  ofLeft(left: number): number | undefined {
    return this.rightOf[left]
  }

  private augmentLeft(left: number, seen: Set<number>): boolean {
    for (let right = 0; right < this.right; right += 1) {
      if (seen.has(right) || !this.fits(left, right)) continue
      seen.add(right)
      const holder = this.leftOf[right]
      if (holder !== undefined && !this.augmentLeft(holder, seen)) continue
      this.pair(left, right)
      return true
    }
    return false
  }

  private augmentRight(right: number, seen: Set<number>): boolean {
    for (let left = 0; left < this.left; left += 1) {
      if (seen.has(left) || !this.fits(left, right)) continue
      seen.add(left)
      const holder = this.rightOf[left]
      if (holder !== undefined && !this.augmentRight(holder, seen)) continue
      this.pair(left, right)
      return true
    }
    return false
  }

  private pair(left: number, right: number): void {
    this.rightOf[left] = right
    this.leftOf[right] = left
  }
}
