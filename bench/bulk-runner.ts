// A process that moves all orders but those of the web requests, or goes on with a run of it, and tells how far it is: to be killed.
import { openTimers } from './systems/express-order-timers.js'

const { redisUrl, databaseUrl, note, resume } = JSON.parse(process.argv[2] ?? '{}')
const { timers, close } = openTimers({ redisUrl, databaseUrl })
const onProgress = ({ moved }: { moved: number }) => process.send?.({ moved })
const { moved } = resume
  ? await timers.resumeRun('order_confirm', { onProgress })
  : await timers.extendAll('order_confirm', { where: { note }, by: '3d', onProgress })
process.send?.({ ended: moved })
await close()
process.disconnect?.()
