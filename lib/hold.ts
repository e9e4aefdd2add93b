// The public types of holding a kind and of releasing it.

import type { Duration } from './duration.js'

export interface HoldOptions {
  /** The reason, which everybody can read; 500 characters at most. */
  reason: string
  /** Who holds it. Default: this host. */
  by?: string | undefined
  /** When a sweep releases it: a Date, or a duration from now. Needs `shift` or `grace`. Default: somebody releases it. */
  until?: Date | Duration | undefined
  /** At `until`: true moves every deadline later than the hold's start by its length; false moves none. */
  shift?: boolean | undefined
  /** At `until`: the kind stays held for this much longer. */
  grace?: Duration | undefined
}

export interface ReleaseOptions {
  /** Moves every deadline later than the hold's start by the hold's length; the kind stays held until that is done. Default: false. */
  shift?: boolean | undefined
  /** The kind stays held for this much longer, for rules whose deadlines cannot be moved (`since`). */
  grace?: Duration | undefined
  /** How many orders may pass the rule's brake beyond its limit, since they have waited. */
  expect?: number | undefined
  /** What to release if both exist: the hold, or the rule that its brake has stopped. */
  what?: 'hold' | 'brake' | undefined
}

/** A kind that is held. */
export interface HeldKind {
  kind: string
  since: Date
  reason: string
  by: string
  /** `releasing`: its deadlines are being moved, or it waits for `opensAt`. */
  state: 'held' | 'releasing'
  until: Date | null
  /** When it opens by itself. */
  opensAt: Date | null
}
