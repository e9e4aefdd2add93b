// The example shop as `npm run demo` opens it: a process with tables and keys of its own, removed when it is closed.

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { dropSchema } from '../../example/once/drop-schema.js'
import { dieWithTests } from '../support/opened.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What its page of breaks shows. */
export interface Figures {
  now: { settled: number; latest: number; sweep: number; overdue: number; lost: number; early: number; twice: number }
  old: { pending: number; done: number; overdue: number; twice: number; latest: number }
  worker: boolean
}

export interface Demo {
  address: string
  figures(): Promise<Figures>
  /** Presses a button of the page of breaks. Resolves when what it does is done. */
  press(name: string): Promise<Response>
  close(): Promise<void>
}

export interface DemoOptions {
  payAfter: string
  confirmAfter?: string
  /** Whether the worker is a process of its own. */
  separate?: boolean
}

export async function openDemo({ payAfter, confirmAfter = '8s', separate = false }: DemoOptions): Promise<Demo> {
  const schema = `t_${randomBytes(6).toString('hex')}`
  const env = { PORT: '0', SHOP_SCHEMA: schema, SHOP_PREFIX: `${schema}:`, PAY_AFTER: payAfter, CONFIRM_AFTER: confirmAfter }
  const args = ['--import', 'tsx', 'example/demo.ts', ...(separate ? ['--worker', 'separate'] : [])]
  const shop = spawn(process.execPath, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  dieWithTests(shop)
  let address = ''
  for await (const line of createInterface({ input: shop.stdout })) {
    address = /^The shop is open: (\S+)/.exec(line)?.[1] ?? ''
    if (address) break
  }
  if (!address) throw new Error('the demo ended before its shop was open')
  shop.stdout.resume()
  return {
    address,
    figures: async () => (await (await fetch(`${address}/break/figures`)).json()) as Figures,
    press: (name) => fetch(`${address}/break/${name}`, { method: 'POST', redirect: 'manual' }),
    async close() {
      const exited = once(shop, 'exit')
      shop.kill('SIGTERM')
      await exited
      await dropSchema(process.env.DATABASE_URL as string, schema)
    },
  }
}
