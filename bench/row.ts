// One line of the results: what was measured of one system in one scenario, and how rounds of it become one.
// What a scenario doesn't measure is left out.

export interface Lateness {
  p50: number
  p99: number
  max: number
}

export interface Figures {
  perSecond?: number
  bytesPerTimer?: number
  latenessMs?: Lateness
  delivered?: number
  cpuPercent?: number
  /** More that one scenario alone measures, by name, with the unit in the name. */
  detail?: Record<string, number>
}

export interface Row extends Figures {
  scenario: string
  system: string
  /** Which way of using the system, where there are several. */
  variant?: string
  workers?: number
  n: number
  pending: number
  rounds: number
  /** Why there are no figures. */
  failed?: string
}

/** The medians of several rounds; the worst of each maximum, and the fewest that were delivered. */
export function middleOf(rounds: Figures[]): Figures {
  const numbers = (pick: (figures: Figures) => number | undefined): number[] => rounds.map(pick).filter((value) => value !== undefined)
  const middle: Figures = {}
  set(middle, 'perSecond', median(numbers((round) => round.perSecond)))
  set(middle, 'bytesPerTimer', median(numbers((round) => round.bytesPerTimer)))
  set(middle, 'cpuPercent', median(numbers((round) => round.cpuPercent)))
  const delivered = numbers((round) => round.delivered)
  if (delivered.length > 0) middle.delivered = Math.min(...delivered)
  const p50 = median(numbers((round) => round.latenessMs?.p50))
  if (p50 !== undefined) {
    middle.latenessMs = {
      p50,
      p99: median(numbers((round) => round.latenessMs?.p99))!,
      max: Math.max(...numbers((round) => round.latenessMs?.max)),
    }
  }
  const names = new Set(rounds.flatMap((round) => Object.keys(round.detail ?? {})))
  if (names.size > 0) {
    middle.detail = Object.fromEntries([...names].map((name) => [name, median(numbers((round) => round.detail?.[name]))!]))
  }
  return middle
}

/** The lateness of each delivery, in milliseconds, as percentiles of those that were delivered. */
export function latenessOf(milliseconds: number[]): Lateness | undefined {
  if (milliseconds.length === 0) return undefined
  const sorted = [...milliseconds].sort((a, b) => a - b)
  const at = (share: number) => rounded(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!)
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

function median(values: number[]): number | undefined {
  if (values.length === 0) return undefined
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return rounded(sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2)
}

function rounded(value: number): number {
  if (Math.abs(value) >= 1000) return Math.round(value)
  return Number(value.toFixed(Math.abs(value) >= 10 ? 1 : 3))
}

function set<K extends keyof Figures>(figures: Figures, name: K, value: Figures[K] | undefined): void {
  if (value !== undefined) figures[name] = value
}
