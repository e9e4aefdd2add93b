// Removes duplicates of messages that every node of a cluster publishes. No single node is relied on: one that hangs sends nothing for
// seconds before its connection is given up.

/** All nodes deliver a message within this time of each other; a later one counts as a new message. */
const TOGETHER_MS = 1_000

/** Any client may publish there. */
const MOST_MESSAGES = 10_000

export class HeardOnce {
  /** By message and node: until when deliveries count as duplicates of another node's, by `performance.now()`. */
  private readonly expected = new Map<string, Map<string, number[]>>()

  /** @param others the nodes that deliver the same messages @returns whether the message is new */
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
