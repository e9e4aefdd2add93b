// What a simulation remembers of a story: the shop's calls and how they ended, and when something was wrong. Instants are milliseconds since 1970.

export type Answer = 'ok' | 'refused' | 'unknown'

/** One call of the shop. */
export interface Wish {
  call: 'ship' | 'place' | 'schedule' | 'extend' | 'cancel' | 'move' | 'write' | 'call' | 'uncall'
  id: number | undefined
  invokedAt: number
  completedAt: number
  /** `refused`: certainly nothing was written. */
  answer: Answer
  deadline?: number | null
  /** Of a move. */
  status?: number | undefined
  armed?: unknown
  /** Of the error. */
  code?: string
}

export interface Wrong {
  what: string
  from: number
  to: number
}

export interface History {
  readonly wishes: readonly Wish[]
  readonly faults: readonly Wrong[]
  /** When Redis lost data. */
  readonly losses: readonly number[]
}
