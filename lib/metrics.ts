// `express-order-timers/metrics`: what Prometheus scrapes, on the shop's registry of prom-client. Exports, nothing else.

export type { MetricsRegistry } from './metrics/metric.js'
export { type MetricsOptions, type OrderTimersMetrics, orderTimersMetrics } from './metrics/metrics.js'
