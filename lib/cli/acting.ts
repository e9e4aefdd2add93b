// The user of the command, for the record of actions, and what is done if actions cannot be recorded.

import { hostname, userInfo } from 'node:os'
import type { Actor } from '../admin/actions/request.js'
import { OrderTimersError } from '../errors.js'
import type { CommandInput } from './command.js'

export const REASON_OPTION = { reason: { type: 'string' } } as const

export function actorOf({ values }: Pick<CommandInput, 'values'>): Actor {
  return { user: `${userName()}@${hostname()}`, via: 'command', reason: values.reason as string | undefined }
}

/**
 * For commands that may be needed in an emergency: without the table they are still carried out, with a remark.
 * @param act records the action if it gets the actor
 */
export async function recordedIfPossible<T>(given: CommandInput, act: (actor: Actor | undefined) => Promise<T>): Promise<T> {
  try {
    return await act(actorOf(given))
  } catch (error) {
    if (!(error instanceof OrderTimersError) || error.code !== 'ERR_ORDER_TIMERS_NOT_RECORDED') throw error
    given.remark(`not recorded: ${error.message.replace(/^orderTimers: /, '')}`)
    return act(undefined)
  }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown') // a container's user may have no name
  }
}
