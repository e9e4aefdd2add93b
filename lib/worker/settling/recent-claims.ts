// What this worker has claimed in the last half second, so that it recognizes the expiry events of these keys without asking Redis. Keys that
// other services set are not remembered: they may be set again at once.

import type { Work } from './work.js'

const MOST_REMEMBERED = 16
const RECENT_MS = 500

interface RecentClaim {
  work: Work
  at: number
  ids?: ReadonlySet<string>
}

export class RecentClaims {
  private readonly claims: RecentClaim[] = []

  add(work: Work): void {
    this.claims.push({ work, at: performance.now() })
    if (this.claims.length > MOST_REMEMBERED) this.claims.shift()
  }

  has(kind: string, id: string): boolean {
    const since = performance.now() - RECENT_MS
    return this.claims.some((claim) => {
      if (claim.at <= since || claim.work.rule.kind !== kind) return false
      claim.ids ??= new Set(claim.work.ids) // created for the first event: most claims get none
      return claim.ids.has(id)
    })
  }
}
