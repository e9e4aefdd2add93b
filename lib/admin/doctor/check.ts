// What the doctor's checks have in common: each checks one thing and says what it expected, what it found, and how to fix it.

import { errorText } from '../../error-text.js'
import type { Subject } from './subject.js'

/**
 * `wrong`: a person should act. `advice`: it works, and could be better. `unseen`: it could not be checked, so nothing is known about it.
 */
export type Verdict = 'fine' | 'wrong' | 'advice' | 'unseen'

/** Where a remedy is carried out. `by hand` is a sentence, all others are commands. */
export type RemedyPlace = 'psql' | 'redis-cli' | 'redis.conf' | 'shell' | 'by hand'

export interface Remedy {
  in: RemedyPlace
  text: string
}

export interface Finding {
  /** What was checked, such as `redis.eviction`. The same fault always has the same name. */
  name: string
  /** The rule, if it is about one. */
  kind?: string
  verdict: Verdict
  expected: string
  /** What was found instead; with `unseen`, why nothing could be seen. */
  found: string
  /** The same without what others should not see, such as ids of orders; left out if `found` has nothing of that kind. */
  shared?: string
  /** Alternatives and steps, in the order in which to try them. Empty if it is fine. */
  remedies: Remedy[]
}

export interface Check {
  name: string
  /** The server that it asks. If that does not answer, the finding is `unseen`. */
  needs?: 'redis' | 'postgres'
  /** In a cluster it checks each primary separately. */
  ofEachNode?: true
  /** @returns one finding or more. @throws the error that prevented the check */
  look(subject: Subject): Promise<Finding[]>
}

/** Checks each rule separately, so that one that cannot be read does not hide the others. */
export async function ofEach<Rule extends { kind: string }>(
  rules: readonly Rule[],
  name: string,
  look: (rule: Rule) => Promise<Finding[]>,
): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const rule of rules)
    try {
      findings.push(...(await look(rule)))
    } catch (error) {
      findings.push(unseen(name, { kind: rule.kind, expected: 'that it can be checked', found: errorText(error) }))
    }
  return findings
}

type About = { kind?: string | undefined; expected: string; found: string; shared?: string }

export function fine(name: string, { kind, expected, found, shared }: About): Finding {
  return {
    name,
    ...(kind !== undefined && { kind }),
    verdict: 'fine',
    expected,
    found,
    ...(shared !== undefined && { shared }),
    remedies: [],
  }
}

export function wrong(name: string, about: About, ...remedies: Remedy[]): Finding {
  return { ...fine(name, about), verdict: 'wrong', remedies }
}

export function advice(name: string, about: About, ...remedies: Remedy[]): Finding {
  return { ...fine(name, about), verdict: 'advice', remedies }
}

export function unseen(name: string, about: About, ...remedies: Remedy[]): Finding {
  return { ...fine(name, about), verdict: 'unseen', remedies }
}

export const psql = (text: string): Remedy => ({ in: 'psql', text })
export const redisCli = (text: string): Remedy => ({ in: 'redis-cli', text })
export const redisConf = (text: string): Remedy => ({ in: 'redis.conf', text })
export const shell = (text: string): Remedy => ({ in: 'shell', text })
export const byHand = (text: string): Remedy => ({ in: 'by hand', text })
