// Whether the timers are switched on in this process's environment.

import { byHand, type Check, fine, shell, wrong } from './check.js'

export const timersSwitch: Check = {
  name: 'timers.enabled',
  async look({ runtime }) {
    const expected = 'switched on'
    if (runtime.enabled) return [fine('timers.enabled', { expected, found: 'switched on' })]
    const variable = process.env.ORDER_TIMERS
    const found = `switched off${variable === undefined ? ' by "enabled: false"' : ` by ORDER_TIMERS=${variable}`}: nothing is armed or settled`
    return [
      wrong(
        'timers.enabled',
        { expected, found },
        shell('export ORDER_TIMERS=on'),
        byHand('or remove "enabled: false" from orderTimers({ … })'),
      ),
    ]
  },
}
