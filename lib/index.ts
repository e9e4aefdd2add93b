// Exports, nothing else.

export type { Duration } from './duration.js'
export { type ErrorCode, OrderTimersError } from './errors.js'
export type { LoggerLike } from './logger.js'
export { orderTimers } from './middleware.js'
export type { Description, Rule, RuleForm, SettledOrder } from './rules/rule.js'
export type { Run } from './rules/settlement.js'
export { type DeadlineOptions, type RedisOnlyOptions, type SinceOptions, type TransitionOptions, transition } from './rules/transition.js'
export type * from './types.js'
export type { FaultCode, Path, WorkerEvents } from './worker/events.js'
export type { WorkerOptions } from './worker/options.js'
export type { Fallback } from './worker/sweep-schedule.js'
export { type ExpiryWorker, type Health, startExpiryWorker } from './worker/worker.js'
