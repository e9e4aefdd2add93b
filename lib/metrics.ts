// `express-order-timers/metrics`: metrics for Prometheus, on the shop's registry of prom-client. Only exports.

export type { MetricsRegistry } from './metrics/metric.js'
export { type MetricsOptions, type OrderTimersMetrics, orderTimersMetrics } from './metrics/metrics.js'
