// How claims are written to Redis and read from its answers: one long text is parsed faster than thousands of short ones.

import type { Failure } from './failed-timers.js'

/** JSON contains no line breaks, so one can end it. */
export function failureText(failure: Failure, stack = ''): string {
  return stack === '' ? JSON.stringify(failure) : `${JSON.stringify(failure)}\n${stack}`
}

/** Ids and deadlines from JSON: id, deadline, id, deadline, … */
export function parsePairs(json: string): { ids: string[]; deadlines: number[] } {
  const pairs: string[] = JSON.parse(json)
  const ids: string[] = []
  const deadlines: number[] = []
  for (let i = 0; i < pairs.length; i += 2) {
    ids.push(pairs[i] as string)
    deadlines.push(Number(pairs[i + 1]))
  }
  return { ids, deadlines }
}

/** A number, or '' for none. */
export function optional(value: string): number | undefined {
  return value === '' ? undefined : Number(value)
}

/** A partition of a kind's index. The first has the kind's own name, so that one server builds no text for it. */
export function placeName(kind: string, partition: number): string {
  return partition === 0 ? kind : `${partition} ${kind}`
}
