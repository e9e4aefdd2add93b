// Checks of single options. Each error names the rule and the option, shows the value, and says what to write instead.

import type { WhereOptions } from 'sequelize'
import { type DurationBounds, parseDuration } from '../duration.js'
import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'

/** The shop's options, not checked yet. */
export type Given = { [name: string]: unknown }

export function invalidRule(kind: string, message: string): OrderTimersError {
  return new OrderTimersError('INVALID_OPTION', `orderTimers: rule "${kind}": ${message}`)
}

/** @throws OrderTimersError INVALID_OPTION from each check; INVALID_DURATION from `duration` */
export class OptionChecks {
  constructor(private readonly kind: string) {}

  attribute(name: string, value: unknown): string {
    if (typeof value === 'string' && value !== '') return value
    throw this.invalid(`"${name}" must be the name of an attribute, got ${show(value)}`)
  }

  condition(name: string, value: unknown): WhereOptions | undefined {
    if (value === undefined || (value !== null && typeof value === 'object')) return value as WhereOptions | undefined
    throw this.invalid(`${name} must be a Sequelize "where", such as { paid: false }, got ${show(value)}`)
  }

  object(name: string, value: unknown, shape: string, known: string[]): Given | undefined {
    if (value === undefined) return undefined
    if (value === null || typeof value !== 'object' || Array.isArray(value))
      throw this.invalid(`${name} must be ${shape}, got ${show(value)}`)
    refuseUnknownOptions(`orderTimers: rule "${this.kind}": ${name}`, value, known)
    return value as Given
  }

  flag(name: string, value: unknown): boolean {
    if (value === undefined || typeof value === 'boolean') return value ?? false
    throw this.invalid(`"${name}" must be true or false, got ${show(value)}`)
  }

  count(name: string, value: unknown): number {
    if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number
    throw this.invalid(`${name} must be a whole number from 1, got ${show(value)}`)
  }

  duration(name: string, value: unknown, bounds?: DurationBounds): number {
    return parseDuration(`orderTimers: rule "${this.kind}": ${name}`, value, bounds)
  }

  isFunction(name: string, value: unknown): void {
    if (value !== undefined && typeof value !== 'function') throw this.invalid(`${name} must be a function, got ${show(value)}`)
  }

  invalid(message: string): OrderTimersError {
    return invalidRule(this.kind, message)
  }
}
