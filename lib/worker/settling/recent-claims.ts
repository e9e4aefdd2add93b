// What this worker has claimed a moment ago, to know the events of its own keys by without asking Redis. Keys that were somebody else's
// are not remembered: they may be set anew at once.

interface Claimed {
  kind: string
  ids: readonly string[]
}

const MOST = 16
const JUST_NOW_MS = 500

export class RecentClaims {
  private readonly claims: { claimed: Claimed; at: number; set?: ReadonlySet<string> }[] = []

  add(claimed: Claimed): void {
    this.claims.push({ claimed, at: performance.now() })
    if (this.claims.length > MOST) this.claims.shift()
  }

  have(kind: string, id: string): boolean {
    const since = performance.now() - JUST_NOW_MS
    return this.claims.some((claim) => {
      if (claim.at <= since || claim.claimed.kind !== kind) return false
      claim.set ??= new Set(claim.claimed.ids) // made when an event comes: mostly none does
      return claim.set.has(id)
    })
  }
}
