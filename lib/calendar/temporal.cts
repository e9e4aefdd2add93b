// Temporal: Node's own where it has one, else the polyfill, which the shop installs. CommonJS in both builds, since a calendar is made
// without waiting.

type TemporalOf = typeof import('@js-temporal/polyfill').Temporal

export = {
  /** @throws as `require` does without the polyfill */
  temporal: (): TemporalOf => (globalThis as { Temporal?: TemporalOf }).Temporal ?? require('@js-temporal/polyfill').Temporal,
}
