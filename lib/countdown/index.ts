// The entry `express-order-timers/countdown`.

export { type CountdownRouter, countdown } from './countdown.js'
export type { CountdownOptions } from './options.js'
export type { Countdown, CountdownState } from './state.js'
