// The example shop, to be tried by hand: npm run demo. `--worker separate` runs the worker as a process of its own, which can be killed. With
// `--once` it runs the main job unattended instead, and ends.

import { runMainJob } from './once/main-job.js'

if (process.argv.includes('--once')) process.exitCode = await runMainJob(process.env)
else await openToVisitors()

async function openToVisitors(): Promise<void> {
  const [{ openShop }, { config }] = await Promise.all([import('./shop.js'), import('./config.js')])
  const separate = process.argv.includes('separate')
  const open = (port: number) => openShop(port, separate)
  const shop = await open(config.port).catch((error) => {
    if (error.code === 'EADDRINUSE') return open(0)
    throw error
  })
  console.info(`
The shop is open: ${shop.address}

An order that is not paid within ${config.payAfter} is cancelled, and one that is shipped is confirmed after ${config.confirmAfter}.
Staff signs in with the password "tea". What happens when things break: ${shop.address}/break

Every command works on it, in another terminal:

  export DATABASE_URL=${config.databaseUrl} REDIS_URL=${config.redisUrl}
  npx order-timers status --module example/timers.ts

Ctrl-C closes the shop.
`)
  const close = () => shop.close().then(() => process.exit(0))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, close)
}
