// Where counts end for whoever must be answered at once, however many orders there are.

/** One more is read, so that 10,000 and more can be told apart. */
export const CAP = 10_000

/** In words. */
export function cappedText(count: number): string {
  return count > CAP ? 'more than 10,000' : count.toLocaleString('en-US')
}
