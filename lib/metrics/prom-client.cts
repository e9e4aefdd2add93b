// prom-client's own registry, where the shop gives none. CommonJS in both builds, since metrics are made without waiting.

type PromClient = { register: import('./metric.js').MetricsRegistry }

export = {
  /** @throws as `require` does without the package */
  promClient: (): PromClient => require('prom-client'),
}
