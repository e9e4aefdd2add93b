// The example shop, to be tried by hand: npm run demo. `--worker separate` runs the worker as a process of its own, which can be killed. With
// `--once` it runs the main job unattended instead, and ends.

import { parseArgs } from 'node:util'
import { runMainJob } from './once/main-job.js'

const wish = readArguments()
if (wish === undefined) process.exitCode = 2
else if (wish.once) process.exitCode = await runMainJob(process.env)
else await openToVisitors(wish.separate)

/** Undefined, and told, where they are wrong. */
function readArguments(): { once: boolean; separate: boolean } | undefined {
  try {
    const { once = false, worker } = parseArgs({ options: { once: { type: 'boolean' }, worker: { type: 'string' } } }).values
    if (worker === undefined || worker === 'separate') return { once, separate: worker !== undefined }
    console.error(`npm run demo: --worker must be separate, got ${JSON.stringify(worker)}`)
  } catch (error) {
    console.error(
      `npm run demo: ${(error as Error).message}; it takes --once, or --worker separate, after two dashes: npm run demo -- --once`,
    )
  }
}

async function openToVisitors(separate: boolean): Promise<void> {
  const [{ openShop }, { config, environmentOf }] = await Promise.all([import('./shop.js'), import('./config.js')])
  const open = (port: number) => openShop(port, separate)
  const shop = await open(config.port).catch((error) => {
    if (error.code === 'EADDRINUSE') return open(0)
    throw error
  })
  console.info(`
The shop is open: ${shop.address}

An order that is not paid within ${config.payAfter} is cancelled, and one that is shipped is confirmed after ${config.confirmAfter}.
Staff signs in with the password "tea". What happens when things break: ${shop.address}/break

Every command works on it, in another terminal in this folder:

  export ${environmentOf(process.env)}
  npx order-timers status --module example/timers.ts

Ctrl-C closes the shop.
`)
  const close = () => shop.close().then(() => process.exit(0))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, close)
}
