// Heeds once what each node of a cluster publishes. A message comes from every node, and none of them is relied on: one that hangs says nothing for
// seconds before its connection is given up.

/** Nodes tell of a message within this time of each other; one that is told of later counts as another. */
const TOGETHER_MS = 1_000

/** Anybody may publish there. */
const MOST_MESSAGES = 10_000

export class HeardOnce {
  /** By message and node: until when each time counts as heard that another node has told of already, by `performance.now()`. */
  private readonly expected = new Map<string, Map<string, number[]>>()

  /** @param others the nodes that tell of the same @returns whether it is to be heeded */
  heeds(message: string, node: string, others: Iterable<string>): boolean {
    const now = performance.now()
    const byNode = this.expected.get(message) ?? new Map<string, number[]>()
    if (this.expected.size > MOST_MESSAGES) this.expected.clear()
    this.expected.set(message, byNode)
    const told = byNode.get(node)?.filter((until) => until > now) ?? []
    if (told.shift() !== undefined) {
      byNode.set(node, told)
      return false
    }
    for (const other of others) {
      if (other === node) continue
      const ofOther = byNode.get(other)?.filter((until) => until > now) ?? []
      byNode.set(other, [...ofOther, now + TOGETHER_MS])
    }
    return true
  }
}
