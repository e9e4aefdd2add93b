// What lies behind timers: for tests of what is done with it beside their calls.

import { RUNTIME, type Runtime } from '../../lib/timers/runtime.js'

export function runtimeOf(timers: object): Runtime {
  return (timers as { [RUNTIME]: Runtime })[RUNTIME]
}
