// `express-order-timers/health`: routes and functions that say whether a process works, and whether orders are settled. Only exports.

export type { CheckName, State } from './health/checks.js'
export type { Live } from './health/liveness.js'
export type { Check, Ready } from './health/readiness.js'
export { type HealthOptions, type OrderTimersHealth, orderTimersHealth } from './health/routes.js'
