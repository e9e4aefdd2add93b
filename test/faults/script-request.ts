// How a script of the due index looks on the wire: ioredis sends its text with the first EVAL on a connection, and then EVALSHA with the
// text's digest.

import { createHash } from 'node:crypto'
import { SCRIPTS } from '../../lib/redis/scripts.generated.js'

export function scriptRequest(name: keyof typeof SCRIPTS): string[] {
  const { lua } = SCRIPTS[name]
  return [lua, createHash('sha1').update(lua).digest('hex')]
}
