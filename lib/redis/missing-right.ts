// The right that a Redis user lacks, as far as Redis's error shows it. For a command within a script Redis only names the script and the line, and not even
// that for one that the script catches: ours then puts the command in parentheses at the end (lua/shared/named.lua).

import { createHash } from 'node:crypto'
import { SCRIPTS } from './scripts.generated.js'

/** @returns a rule of ACL SETUSER, such as `+zadd`; in words if only the kind of right is known; undefined if nothing is */
export function missingRight(message: string): string | undefined {
  const [, command] = /permissions to run the '([^']+)' command/.exec(message) ?? []
  if (command !== undefined) return `+${command}`
  if (/access (?:one of the|at least one of the) keys/.test(message)) return 'the keys of its rules and of order-timers (~…)'
  if (/channel/.test(message)) return 'the channels of the timers (&…)'
  const [, named] = /\(([a-z]+)\)$/.exec(message) ?? []
  if (named !== undefined) return `+${named}`
  const [, digest] = /\b(?:f_|script: )([0-9a-f]{40})\b/.exec(message) ?? []
  const [, line] = /@user_script:\s?(\d+)/.exec(message) ?? []
  if (digest === undefined || line === undefined) return undefined
  const called = [...(lineOf(digest, Number(line)) ?? '').matchAll(/redis\.p?call\('(\w+)'/g)].map(
    ([, name = '']) => `+${name.toLowerCase()}`,
  )
  return called.length > 0 ? called.join(' ') : undefined
}

function lineOf(digest: string, line: number): string | undefined {
  const script = Object.values(SCRIPTS).find(({ lua }) => createHash('sha1').update(lua).digest('hex') === digest)
  return script?.lua.split('\n')[line - 1]
}
