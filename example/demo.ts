// The example shop, to be tried by hand: npm run demo. With --once it runs the main job unattended instead, and ends.

import { type Config, readConfig } from './config.js'
import { CANCELLED, COMPLETED, PAID, PLACED, SHIPPED } from './models.js'
import { runMainJob } from './once/main-job.js'
import { openShop, type Shop } from './shop.js'

if (process.argv.includes('--once')) process.exitCode = await runMainJob(process.env)
else await openToVisitors()

async function openToVisitors(): Promise<void> {
  const config = readConfig(process.env)
  const shop = await openShop(config, console)
  const worker = shop.startWorker()
  await worker.ready
  await stockShelves(shop)
  const address = await listen(shop, config.port)
  console.info(directions(address, config))

  const close = () => shop.close().then(() => process.exit(0))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, close)
}

/** Some orders to look at, in an empty shop. */
async function stockShelves({ Order, timers }: Shop): Promise<void> {
  if ((await Order.count()) > 0) return
  await Order.create({ item: '凍頂烏龍 150 g', status: PAID })
  const shipped = await Order.create({ item: '日月潭紅玉 75 g', status: SHIPPED })
  await timers.schedule('order_confirm', shipped)
  const placed = await Order.create({ item: '文山包種 100 g', status: PLACED })
  await timers.schedule('order_pay', placed)
}

/** On the port it is told, or on a free one where somebody listens there already. */
function listen(shop: Shop, port: number): Promise<string> {
  return shop.listen(port).catch((error) => {
    if (error.code === 'EADDRINUSE') return shop.listen(0)
    throw error
  })
}

function directions(address: string, { payAfter, confirmAfter, redisUrl, prefix }: Config): string {
  const json = "-H 'content-type: application/json' -d"
  return `
The shop is open: ${address}

An order that is not paid within ${payAfter} is cancelled, and one that is shipped is confirmed after ${confirmAfter}.

  place     curl -X POST ${address}/orders ${json} '{"item":"tea"}'
  pay       curl -X POST ${address}/orders/4/pay
  ship      curl -X POST ${address}/orders/4/ship
  extend    curl -X POST ${address}/orders/4/extend ${json} '{"by":"1m"}'
  confirm   curl -X POST ${address}/orders/4/confirm
  list      curl ${address}/orders     (countdowns in milliseconds)
  timers    redis-cli -u ${redisUrl} keys '${prefix}order_*'

Statuses: ${PLACED} placed, ${PAID} paid, ${SHIPPED} shipped, ${COMPLETED} completed, ${CANCELLED} cancelled. Ctrl-C closes the shop.
`
}
