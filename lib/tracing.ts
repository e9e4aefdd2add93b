// `express-order-timers/tracing`: spans of OpenTelemetry. Exports, nothing else.

export { orderTimersTracing } from './tracing/tracing.js'
