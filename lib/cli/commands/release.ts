// `order-timers release`.

import { releaseHoldAct } from '../../admin/actions/hold.js'
import type { Actor } from '../../admin/actions/request.js'
import { releaseBrake } from '../../admin/release.js'
import type { ReleaseOptions } from '../../hold.js'
import { whatToRelease } from '../../timers/release.js'
import { REASON_OPTION, recordedIfPossible } from '../acting.js'
import { type Command, type CommandInput, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { END_OPTIONS, endOf } from '../hold-options.js'
import { grouped } from '../table.js'
import { UsageError } from '../usage-error.js'

const WAIT_MS = 5_000

export const releaseCommand: Command = {
  usage: 'release KIND [--shift | --no-shift | --grace DURATION] [--expect N] [--what hold|brake] [--reason TEXT] [--json]',
  help: 'releases a rule that its brake has stopped, or that is held; running workers settle at once what was held. --shift first moves every coming deadline by the length of the hold',
  example: 'order-timers release order_confirm',
  options: { ...MODULE_OPTION, ...JSON_OPTION, ...REASON_OPTION, ...END_OPTIONS, expect: { type: 'string' }, what: { type: 'string' } },
  positionals: ['KIND'],
  check: ({ values }) => void optionsOf(values),
  async run(given) {
    const { runtime, positionals, values, print } = given
    const [kind = ''] = positionals
    const options = optionsOf(values)
    if ((await whatToRelease(runtime, kind, options)) === 'hold') return releaseHeld(given, kind, options)
    const released = await recordedIfPossible(given, (actor) => releaseBrake(runtime, kind, actor))
    const { wasStopped, workersAsked, next } = released
    if (values.json) print(json({ kind, wasStopped, workersAsked, next }))
    else print(`${kind}: ${wasStopped ? 'released' : 'was not stopped; its count starts again'}${wasStopped ? `; ${next}` : ''}`)
    return OK
  },
}

async function releaseHeld(given: CommandInput, kind: string, options: ReleaseOptions): Promise<number> {
  const { runtime, values, print } = given
  await runtime.redis?.connection.connected(WAIT_MS).catch(() => {}) // the next call reports a failure
  const release = (actor: Actor | undefined) => releaseHoldAct(runtime, kind, options, actor, { waitMs: WAIT_MS })
  const { hold, moved, workersAsked, next } = await recordedIfPossible(given, release)
  const opensAt = hold.opensAt === null ? null : new Date(hold.opensAt)
  if (values.json) print(json({ kind, wasHeld: true, moved, lengthMs: hold.lengthMs, opensAt, workersAsked, next }))
  else if (opensAt) print(`${kind}: stays held until ${opensAt.toISOString()}, and goes on by itself then`)
  else print(`${kind}: released${hold.end === 'shift' ? `; ${grouped(moved)} deadlines were moved` : ''}; ${next}`)
  return OK
}

/** @throws UsageError */
function optionsOf(values: CommandInput['values']): ReleaseOptions {
  const { expect, what } = values
  if (what !== undefined && what !== 'hold' && what !== 'brake')
    throw new UsageError(`--what must be hold or brake, got ${JSON.stringify(what)}`)
  if (expect !== undefined && !/^\d{1,9}$/.test(String(expect)))
    throw new UsageError(`--expect must be a whole number of orders, got ${JSON.stringify(expect)}`)
  return { ...endOf(values), ...(expect !== undefined && { expect: Number(expect) }), ...(what !== undefined && { what }) }
}
