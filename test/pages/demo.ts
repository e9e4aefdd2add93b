// The example shop as `npm run demo` opens it: a process with tables and keys of its own, removed when it is closed.

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { dropSchema } from '../../example/once/drop-schema.js'
import { dieWithTests } from '../support/opened.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What its page of breaks shows. */
export interface Figures {
  now: { settled: number; latest: number; sweep: number; overdue: number; lost: number; early: number; twice: number }
  old: { pending: number; done: number; overdue: number; twice: number; latest: number }
  worker: boolean
  listening: number
}

export interface Demo {
  address: string
  figures(): Promise<Figures>
  /** Presses a button of the page of breaks. Resolves when what it does is done. */
  press(name: string): Promise<Response>
  /** The same, as the page's script does. Resolves to what the page then says. */
  said(name: string): Promise<string>
  /** By hand, in its tables. */
  sql(text: string): Promise<Record<string, unknown>[]>
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
  const headers = { accept: 'application/json' }
  return {
    address,
    figures: async () => (await (await fetch(`${address}/break/figures`)).json()) as Figures,
    press: (name) => fetch(`${address}/break/${name}`, { method: 'POST', redirect: 'manual' }),
    said: async (name) => ((await (await fetch(`${address}/break/${name}`, { method: 'POST', headers })).json()) as { text: string }).text,
    async sql(text) {
      const client = new Client({ connectionString: process.env.DATABASE_URL, options: `-c search_path=${schema}` })
      await client.connect()
      return client
        .query(text)
        .then(({ rows }) => rows)
        .finally(() => client.end())
    },
    async close() {
      const exited = once(shop, 'exit')
      shop.kill('SIGTERM')
      await exited
      await dropSchema(process.env.DATABASE_URL as string, schema)
    },
  }
}
