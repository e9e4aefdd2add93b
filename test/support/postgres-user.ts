// Whom a test's own Postgres runs as. Postgres refuses to run as root, so that root starts it as `postgres` or, where there is no such
// user, as `nobody`; everybody else starts it as himself.

import { readFileSync } from 'node:fs'

export interface User {
  uid: number
  gid: number
}

export function postgresUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('Postgres does not run as root, and there is neither a user "postgres" nor "nobody" to run it as')
}
