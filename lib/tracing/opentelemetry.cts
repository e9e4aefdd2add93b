// OpenTelemetry's API, which the shop installs. CommonJS in both builds, since tracing begins without waiting; the API keeps its state in `globalThis`,
// so that it does not matter which copy the shop has.

export = {
  /** @throws as `require` does without the package */
  api: (): typeof import('@opentelemetry/api') => require('@opentelemetry/api'),
}
