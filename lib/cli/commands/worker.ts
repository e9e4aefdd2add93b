// `order-timers worker`: a worker in a process of its own, until SIGTERM or SIGINT.

import { ageText } from '../../admin/age-text.js'
import { Liveness } from '../../health/liveness.js'
import { parseWorkerOptions } from '../../worker/options.js'
import { ExpiryWorker } from '../../worker/worker.js'
import { aliveAgoMs, defaultAliveFile, isAlive, keepAlive } from '../alive-file.js'
import { type Command, type CommandInput, FAILED, JSON_OPTION, MODULE_OPTION, OK } from '../command.js'
import { jsonLog } from '../json-log.js'
import { signalled } from '../signalled.js'
import { UsageError } from '../usage-error.js'

type Values = CommandInput['values']

export const workerCommand: Command = {
  usage: 'worker [--fallback CRON|off] [--concurrency N] [--configure-redis] [--idle economy] [--json] [--alive-file FILE] [--check]',
  help: 'runs a worker until SIGTERM or SIGINT: one line once it is ready, with --json its log as JSON lines; --check asks whether the worker of this host works, for container probes (exit status 1 if not)',
  example: 'order-timers worker --json',
  options: {
    ...MODULE_OPTION,
    ...JSON_OPTION,
    fallback: { type: 'string' },
    concurrency: { type: 'string' },
    'configure-redis': { type: 'boolean' },
    idle: { type: 'string' },
    'alive-file': { type: 'string' },
    check: { type: 'boolean' },
  },
  positionals: [],
  check: ({ values }) => void optionsOf(values),
  answer({ values, print }) {
    if (!values.check) return undefined
    const file = aliveFileOf(values)
    const agoMs = aliveAgoMs(file)
    const alive = isAlive(agoMs)
    if (values.json) print(JSON.stringify({ alive, agoMs: agoMs ?? null, file }))
    else if (agoMs === undefined) print(`no worker: there is no ${file}`)
    else print(`${alive ? 'alive' : 'silent'}: the worker said so ${ageText(agoMs)} ago, in ${file}`)
    return alive ? OK : FAILED
  },
  run,
}

async function run({ runtime, values, print, remark }: CommandInput): Promise<number> {
  const { log, hasLogger, identity, kinds } = runtime
  if (values.json && !hasLogger) log.writeTo(jsonLog(print))
  if (!runtime.enabled)
    remark('order-timers: the timers are switched off (ORDER_TIMERS=off or enabled: false), so this worker settles nothing')
  const stopped = signalled()
  const worker = new ExpiryWorker(runtime, optionsOf(values))
  const liveness = new Liveness(runtime)
  const file = aliveFileOf(values)
  const endAlive = keepAlive(
    file,
    () => liveness.read().status === 'ok',
    (error) =>
      remark(
        `order-timers: ${file} cannot be written (${(error as Error).message}), so --check finds no worker; name another: --alive-file FILE`,
      ),
  )
  void worker.ready.then(() => {
    const message = `worker ready: ${identity.id}, ${kinds.length === 1 ? 'rule' : 'rules'} ${kinds.join(', ')}`
    const fields = { code: 'WORKER_READY', process: identity.id, kinds }
    print(values.json ? JSON.stringify({ time: new Date().toISOString(), level: 'info', message, ...fields }) : message)
  })
  await stopped
  await worker.stop()
  endAlive()
  return OK
}

function optionsOf({ fallback, concurrency, 'configure-redis': configureRedis, idle }: Values): ReturnType<typeof parseWorkerOptions> {
  try {
    return parseWorkerOptions({
      ...(fallback !== undefined && { fallback: fallback === 'off' ? false : (fallback as string) }),
      ...(concurrency !== undefined && { concurrency: Number(concurrency) }),
      ...(configureRedis === true && { configureRedis }),
      ...(idle !== undefined && { idle: idle as 'economy' }),
    })
  } catch (error) {
    throw new UsageError(
      (error as Error).message.replace(/^startExpiryWorker: "(\w+)"/, (_, name) => `--${name}`),
      { cause: error },
    )
  }
}

function aliveFileOf(values: Values): string {
  return (values['alive-file'] as string | undefined) ?? defaultAliveFile()
}
