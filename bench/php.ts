// A PHP program that sets keys with phpredis, as a shop's PHP does. The program is in set-keys.php, and PHP is that in PHP, which scripts/run.mjs sets.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const PROGRAM = fileURLToPath(new URL('set-keys.php', import.meta.url))

export interface PhpKeys {
  redisUrl: string
  prefix: string
  /** To live. */
  seconds: number
  firstId: number
  count: number
  spacingMs: number
}

/** Sets `prefix` + id for so many ids. @returns when each key expires, milliseconds since 1970 */
export async function setByPhp({ redisUrl, prefix, seconds, firstId, count, spacingMs }: PhpKeys): Promise<Map<number, number>> {
  const php = process.env.PHP
  if (!php) throw new Error('bench: "external" needs PHP with phpredis, and it could not be installed; install it, or set PHP to its path')
  const { hostname, port } = new URL(redisUrl)
  const values = [hostname, port, prefix, seconds, firstId, count, spacingMs].map(String)
  const { stdout } = await promisify(execFile)(php, [PROGRAM, ...values], { maxBuffer: 2 ** 26 })
  const lines = stdout.trimEnd().split('\n')
  return new Map(lines.map((line, i) => [firstId + i, Number(line.slice(line.lastIndexOf(' ') + 1))]))
}
