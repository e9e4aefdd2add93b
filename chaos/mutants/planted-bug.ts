// What a planted bug is: a way in which such a library is easily got wrong, as edits of the source by its exact text, and where it should show.

import type { Feature } from '../history.js'

export interface Edit {
  file: string
  /** Must be there exactly once. */
  find: string
  replace: string
}

/** What a bug is about: a feature of docs/promises.md, or a part that all of them rest on. */
export type Subject = Feature | (typeof FOUNDATIONS)[number]

export const FOUNDATIONS = ['sweep', 'claims', 'leases', 'clocks', 'failures', 'redis', 'postgres', 'calls', 'hold', 'verify'] as const

export interface PlantedBug {
  /** For `--only`. */
  name: string
  about: readonly Subject[]
  what: string
  edits: readonly Edit[]
  /** The test files that concern it, the likeliest to catch it first. */
  suites: readonly string[]
  /** A part of the title of the tests to begin with, so that a bug in a long suite is caught soon. */
  likely?: string
}
