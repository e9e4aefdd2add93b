// The program `order-timers` as a process of its own, and a folder with the module that makes a shop's timers.

import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Database } from './database.js'
import { enter } from './opened.js'
import { compiledUrl, programArgs } from './programs.js'

const root = new URL('../../', import.meta.url)
const url = (path: string) => compiledUrl(new URL(path, root).href)

export interface Project {
  readonly directory: string
  /** Writes a file into the folder. */
  write(name: string, text: string): Promise<void>
  /** Runs the program there, as its user would. */
  orderTimers(...args: string[]): Promise<Ended>
  close(): Promise<void>
}

export interface Ended {
  status: number
  stdout: string
  stderr: string
}

export async function openProject(): Promise<Project> {
  const directory = await mkdtemp(join(tmpdir(), 'order-timers-project-'))
  const close = async () => {
    await rm(directory, { recursive: true, force: true })
    strikeOut()
  }
  const strikeOut = enter(`folder ${directory}`, close)
  return {
    directory,
    close,
    write: (name, text) => writeFile(join(directory, name), text),
    orderTimers: (...args) => runProgram([...programArgs(new URL('lib/cli/main.ts', root)), ...args], directory),
  }
}

/** A module that makes timers over a test's orders. `rules` is JavaScript over `Order`, `transition` and `effect`. */
export function timersModule(database: Pick<Database, 'url' | 'schema'>, rules: string, options = 'redis: false'): string {
  return `import { effect, orderTimers, transition } from '${url('lib/index.ts')}'
import { sequelizeOn } from '${url('test/support/database.ts')}'
import { defineOrder } from '${url('test/support/order.ts')}'

export const sequelize = sequelizeOn('${database.url}', '${database.schema}', { logging: console.log })
export const Order = defineOrder(sequelize)
export const timers = orderTimers({ ${options}, rules: { ${rules} } })
`
}

/** A process that does not end by itself within the time is killed, and fails. */
export function runProgram(args: string[], directory: string, within = 30_000, env: Record<string, string> = {}): Promise<Ended> {
  const options = { cwd: directory, timeout: within, maxBuffer: 10_000_000, env: { ...process.env, ...env } }
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      if (error?.killed) reject(new Error(`it did not end by itself: ${args.join(' ')}\n${stdout}${stderr}`, { cause: error }))
      else resolve({ status: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}
