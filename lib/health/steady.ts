// A check's state over time: two readings in a row make it worse, three make it better, so that a short disturbance neither raises nor ends an alarm.

import { type CheckName, STATES, type State } from './checks.js'

const ENTER = 2
const LEAVE = 3

export class Steady {
  state: State = 'ok'
  private latest: State[] = []

  /** @param atOnce whether a single reading makes it worse */
  note(reading: State, atOnce = false): State {
    this.latest = [reading, ...this.latest].slice(0, LEAVE)
    const rank = (state: State) => STATES.indexOf(state)
    const entering = this.latest.slice(0, atOnce ? 1 : ENTER)
    const worsened = entering.length < (atOnce ? 1 : ENTER) ? 0 : Math.min(...entering.map(rank))
    const improved = this.latest.length < LEAVE ? rank(this.state) : Math.max(...this.latest.map(rank))
    if (worsened > rank(this.state)) this.state = STATES[worsened] as State
    else if (improved < rank(this.state)) this.state = STATES[improved] as State
    return this.state
  }
}

/** One failed query to Postgres counts at once. */
export function isToldAtOnce(check: CheckName): boolean {
  return check === 'postgres'
}
