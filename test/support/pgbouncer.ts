// A PgBouncer of a test's own in front of a Postgres, in transaction mode. The binary is that in PGBOUNCER, which scripts/run.mjs sets; libraries
// that the system lacks lie beside it.

import { chmod, chown, cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { freePort } from './free-port.js'
import { enter } from './opened.js'
import { postgresUser } from './postgres-user.js'
import { ServerProcess } from './server-process.js'

export class PgBouncer {
  private readonly process = new ServerProcess()
  private readonly close: () => void

  private constructor(
    readonly port: number,
    private readonly directory: string,
  ) {
    this.close = enter(`PgBouncer on port ${port}`, () => this.stop())
  }

  /** @param poolSize connections to Postgres that all clients share */
  static async start(postgresPort: number, poolSize: number): Promise<PgBouncer> {
    const port = await freePort()
    const directory = await mkdtemp(join(tmpdir(), 'order-timers-pgbouncer-'))
    const binary = process.env.PGBOUNCER as string
    for (const name of await readdir(dirname(binary))) {
      if (name === 'pgbouncer' || name.includes('.so')) await cp(join(dirname(binary), name), join(directory, name), { dereference: true })
    }
    await writeFile(join(directory, 'pgbouncer.ini'), configuration({ port, postgresPort, poolSize }))
    const user = postgresUser()
    if (user !== undefined) await chown(directory, user.uid, user.gid)
    await chmod(join(directory, 'pgbouncer'), 0o755)
    const one = new PgBouncer(port, directory)
    await one.restart()
    return one
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`
  }

  /** Starts it again on the same port; kills it first if it runs, and every connection with it. */
  async restart(): Promise<void> {
    await this.process.end('SIGKILL')
    await this.process.start({
      file: join(this.directory, 'pgbouncer'),
      args: [join(this.directory, 'pgbouncer.ini')],
      cwd: this.directory,
      env: { ...process.env, LD_LIBRARY_PATH: this.directory },
      user: postgresUser(),
      ready: /process up/,
    })
  }

  async stop(): Promise<void> {
    await this.process.end('SIGKILL')
    await rm(this.directory, { recursive: true, force: true })
    this.close()
  }
}

function configuration({ port, postgresPort, poolSize }: { port: number; postgresPort: number; poolSize: number }): string {
  return `[databases]
postgres = host=127.0.0.1 port=${postgresPort} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${poolSize}
ignore_startup_parameters = extra_float_digits
`
}
