// The texts of --help.

import type { Command } from './command.js'
import { COMMANDS } from './commands.js'

export function help(): string {
  const commands = Object.values(COMMANDS).map(
    ({ usage, help, example }) => `  order-timers ${usage}\n      ${help}\n      for example: ${example}`,
  )
  return `Shows the state of your order timers, and settles, retries and releases by hand.

${commands.join('\n')}

Each takes --module FILE, the module that exports your timers (and starts neither a server nor a worker). Without it, the module that
package.json names is used ("order-timers": { "module": "./path/to/timers.js" }), or timers.js (.mjs, .cjs, .ts), here or in dist, build, src
or lib.

Exit status: 0 success; 1 something is wrong, or nothing was done; 2 wrong usage, or no such rule or id; 3 the timers could not be loaded, or
what the command needs does not answer: Redis for dead and watch, both for retry, discard and rearm, else Postgres (status has 1 then). Answers go to stdout, everything else to
stderr.`
}

export function helpOn({ usage, help, example, options }: Command): string {
  const module = 'module' in options ? ' [--module FILE]' : ''
  return `order-timers ${usage}${module}\n\n${help}\n\nExample: ${example}`
}
