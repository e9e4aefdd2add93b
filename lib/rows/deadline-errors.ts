// The errors of calls on an order's deadline: what was refused, why, and what to do instead.

import { inUnits } from '../duration.js'
import { errorText } from '../error-text.js'
import { OrderTimersError, show } from '../errors.js'
import { LOCK_WAIT_MS } from '../sequelize/call-connection.js'
import type { RowGuard } from './guard.js'
import type { DeclaredColumn } from './row-options.js'
import type { RowState } from './timer-state.js'

type Extensions = NonNullable<DeclaredColumn['extensions']>

export class DeadlineErrors {
  constructor(
    private readonly kind: string,
    private readonly guard: RowGuard,
    private readonly column: DeclaredColumn,
  ) {}

  noTimer(id: string, { paused }: RowState, call: string): OrderTimersError {
    const why = paused ? 'is paused, and has no deadline' : 'has no deadline'
    const resume = this.column.pause?.while ? 'it runs again when "pause.while" holds no longer' : `call resume('${this.kind}', …) first`
    const remedy = paused ? resume : `call schedule('${this.kind}', …) first`
    return new OrderTimersError('NO_TIMER', `orderTimers: ${this.kind}: ${this.order(id)} ${why} to ${call}; ${remedy}`)
  }

  extensionLimit(id: string, { extended }: RowState, { most, unit }: Extensions, byMs: number): OrderTimersError {
    const already = extended === 0 ? '' : `was extended by ${inUnits(extended)} already, `
    const limit =
      unit === 'times'
        ? `was extended ${extended === 1 ? 'once' : `${extended} times`}, which is the most`
        : `may be extended by ${inUnits(most)} in all, ${already}and ${inUnits(byMs)} more is too much`
    return new OrderTimersError('EXTENSION_LIMIT', `orderTimers: ${this.kind}: ${this.order(id)} ${limit}`)
  }

  rowLocked(id: string, cause: unknown): OrderTimersError {
    const remedy = 'if that is a transaction of this very request, pass { transaction }'
    const message = `orderTimers: ${this.kind}: ${this.order(id)} is locked by another transaction, waited ${LOCK_WAIT_MS} ms; ${remedy}`
    return new OrderTimersError('ROW_LOCKED', message, { cause })
  }

  /** A trigger waited for other rows, or worked on. */
  triggerTooSlow(id: string, cause: unknown): OrderTimersError {
    const why = `a trigger on the table waited in vain, or took longer than the call may (${errorText(cause)})`
    const message = `orderTimers: ${this.kind}: ${this.order(id)} was not written: ${why}; it is safe to try again`
    return new OrderTimersError('POSTGRES_UNAVAILABLE', message, { cause })
  }

  /** The row is as the call needs it, and was not written all the same. */
  vetoed(id: string): OrderTimersError {
    const why = 'a trigger on the table, or a row-level security policy, let the UPDATE change no row'
    const message = `orderTimers: ${this.kind}: ${this.order(id)} was not written: ${why}; let it pass the column of the deadline`
    return new OrderTimersError('VETOED', message)
  }

  /** An INTEGER had to hold more than it can. */
  tooLarge(id: string, attribute: string, cause: unknown): OrderTimersError {
    const { table } = this.guard
    const remedy = `ALTER TABLE ${table.table} ALTER COLUMN ${table.bareColumn(attribute)} TYPE bigint`
    const message = `orderTimers: ${this.kind}: ${show(attribute)} of ${this.order(id)} cannot hold so many milliseconds; ${remedy}`
    return new OrderTimersError('INVALID_MODEL', message, { cause })
  }

  private order(id: string): string {
    return `${this.guard.table.model.name} ${show(id)}`
  }
}
